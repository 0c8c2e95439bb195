//! Reload: the whole file is read first; a fault keeps the old rules and says so.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{self, restart_needed};
use crate::daemon::clock;
use crate::directory::Directory;
use crate::engine::Engine;
use crate::observe::Observer;
use crate::settings::Setting;

/// What a reload reads, and whom it tells.
pub struct Reload {
    pub file: PathBuf,
    pub host: Box<str>,
    pub engine: Arc<Engine>,
    pub observer: Arc<Observer>,
    pub directory: Option<Arc<dyn Directory>>,
    /// The settings of the start.
    pub running: Vec<Setting>,
}

impl Reload {
    /// Reads the configuration again.
    pub fn config(&mut self) {
        let file = self.file.display();
        match config::load(&self.file, &self.host) {
            Ok(config) => {
                for warning in &config.warnings {
                    tracing::warn!("{warning}");
                }
                for key in restart_needed(&self.running, &config.settings) {
                    tracing::warn!("{key} has changed and needs a restart; the old value stays");
                }
                self.engine.set_rules(config.rules);
                self.observer.metrics.config_read(true, clock::now());
                tracing::info!(%file, "configuration reloaded");
            }
            Err(faults) => {
                for fault in &faults {
                    tracing::error!("{fault}");
                }
                self.observer.metrics.config_read(false, clock::now());
                tracing::error!(%file, faults = faults.len(), "configuration not reloaded: the old rules stay");
            }
        }
    }

    /// Reads the directory again where its source has changed; `again`: also what was refused.
    pub fn directory(&self, again: bool) {
        let Some(directory) = &self.directory else { return };
        match directory.refresh(&self.engine.rules().groups, again) {
            Ok(false) => {}
            Ok(true) => {
                self.observer.metrics.directory_read(true, clock::now());
                tracing::info!("directory file reloaded");
            }
            Err(faults) => {
                self.observer.metrics.directory_read(false, clock::now());
                tracing::error!(%faults, "directory file not reloaded: its old content stays");
            }
        }
    }
}
