//! A directory server that can be killed, frozen and started again, on the same ports and data.

use crate::client::Client;
use crate::folder::{Folder, note_pid};
use crate::process::{DEADLINE, Process};
use rustix::process::Signal;
use std::path::Path;
use std::process::Command;

pub struct Server {
    name: &'static str,
    command: Box<dyn Fn(&Path) -> Command + Send + Sync>,
    /// Asks for the root DSE, to see whether the server answers.
    stranger: Client,
    process: Option<Process>,
    runs: usize,
    folder: Folder,
}

impl Server {
    /// `command` is told the folder, and starts the server in the foreground.
    pub fn start(
        name: &'static str,
        folder: Folder,
        stranger: Client,
        command: impl Fn(&Path) -> Command + Send + Sync + 'static,
    ) -> Server {
        let command = Box::new(command);
        let mut server = Server { name, command, stranger, process: None, runs: 0, folder };
        server.run();
        server
    }

    /// Starts, and waits until it answers.
    pub fn run(&mut self) {
        assert!(self.process.is_none(), "{} runs", self.name);
        self.runs += 1;
        let log = self.folder().join(format!("run-{}.log", self.runs));
        let mut process = Process::start(self.name, &mut (self.command)(self.folder()), log);
        note_pid(self.folder(), self.name, process.pid());
        let stranger = &self.stranger;
        process.wait_until("answers", || stranger.can_bind());
        self.process = Some(process);
    }

    /// With SIGTERM, or SIGKILL for an end in the middle of everything; waits for the end.
    pub fn stop(&mut self, signal: Signal) {
        let mut process = self.process.take().expect("the server runs");
        process.signal(signal);
        process.wait_for_end(DEADLINE);
    }

    pub fn restart(&mut self) {
        self.stop(Signal::TERM);
        self.run();
    }

    /// It takes connections and bytes, as far as the kernel does, and answers nothing.
    pub fn freeze(&self) {
        self.running().freeze();
    }

    pub fn thaw(&self) {
        self.running().signal(Signal::CONT);
    }

    /// What the present run wrote to standard output and error.
    pub fn written(&self) -> String {
        self.running().written()
    }

    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }
}
