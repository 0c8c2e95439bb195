//! The processes under load: started on free sockets, looked at through /proc (proc_pid_status(5)), ended on drop.

use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use clap::ValueEnum;

use crate::common::load::PATIENCE;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SocketKind {
    Tcp,
    Unix,
}

pub struct Process {
    pub name: &'static str,
    tcp: SocketAddr,
    unix: PathBuf,
    child: Child,
}

impl SocketKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Unix => "unix",
        }
    }
}

impl Process {
    /// Returns when both sockets take connections. The file `log` in `folder` is shown when they do not.
    pub fn start(
        name: &'static str,
        command: &mut Command,
        (tcp, unix): (SocketAddr, PathBuf),
        folder: &Path,
    ) -> Result<Self, Box<dyn Error>> {
        let child = command.stdin(Stdio::null()).spawn()?;
        let mut process = Self { name, tcp, unix, child };
        process.wait_until_it_listens(folder)?;
        Ok(process)
    }

    pub fn connect(&self, socket: SocketKind) -> io::Result<OwnedFd> {
        match socket {
            SocketKind::Tcp => {
                let stream = TcpStream::connect(self.tcp)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(stream.into())
            }
            SocketKind::Unix => {
                let stream = UnixStream::connect(&self.unix)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(stream.into())
            }
        }
    }

    /// Processor time of all its threads so far; right to the nanosecond only while they sleep.
    pub fn cpu(&self) -> io::Result<Duration> {
        let mut sum = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            sum += cpu_of(&task?.path().join("schedstat"))?;
        }
        Ok(sum)
    }

    pub fn resident_mib(&self) -> Result<f64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kibibytes.ok_or("no VmRSS in /proc")?.parse::<f64>()? / 1024.0)
    }

    fn wait_until_it_listens(&mut self, folder: &Path) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        loop {
            let refused = match (self.connect(SocketKind::Tcp), self.connect(SocketKind::Unix)) {
                (Ok(_), Ok(_)) => return Ok(()),
                (Err(error), _) | (_, Err(error)) => error,
            };
            let ended = self.child.try_wait()?;
            if ended.is_some() || start.elapsed() > PATIENCE {
                let name = self.name;
                let state = ended.map_or("runs".to_owned(), |status| format!("ended: {status}"));
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                return Err(format!("{name} does not listen ({refused}) and {state}\n{log}").into());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    /// Nothing in it is worth a drain.
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("process {} is left behind: {error}", self.child.id());
        }
    }
}

/// The first figure of schedstat: nanoseconds on a processor (Documentation/scheduler/sched-stats.rst).
pub fn cpu_of(schedstat: &Path) -> io::Result<Duration> {
    let text = fs::read_to_string(schedstat)?;
    let nanos = text.split(' ').next().and_then(|word| word.parse().ok());
    nanos
        .map(Duration::from_nanos)
        .ok_or_else(|| io::Error::other(format!("{}: {text:?}", schedstat.display())))
}

pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
