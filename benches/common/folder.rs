//! A folder of its own for sockets, configuration and logs, removed at the end.

use std::path::{Path, PathBuf};
use std::{fs, io, process};

pub struct Folder(PathBuf);

impl Folder {
    /// Of this process alone, below `parent`.
    pub fn create(parent: &Path, benchmark: &str) -> io::Result<Self> {
        let path = parent.join(format!("gatepost-{benchmark}-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// An empty folder below this one; what an earlier round left there is removed.
    pub fn child(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir(&path)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}
