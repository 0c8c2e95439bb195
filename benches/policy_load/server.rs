//! The processes under load: started on free sockets, looked at through /proc (proc_pid_status(5)), ended on drop.

use std::error::Error;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use crate::load::PATIENCE;
use crate::options::{ServerKind, SocketKind};
use crate::people::{self, Person};

pub struct Server {
    kind: ServerKind,
    tcp: SocketAddr,
    unix: PathBuf,
    child: Child,
}

impl Server {
    /// Returns when both sockets take connections.
    pub fn start(
        kind: ServerKind,
        folder: &Path,
        people: &[Person],
    ) -> Result<Self, Box<dyn Error>> {
        let tcp = free_address()?;
        let unix = folder.join("policy.sock");
        let mut command = match kind {
            ServerKind::NoOp => noop(tcp, &unix)?,
            ServerKind::Refusals | ServerKind::All => gatepost(kind, folder, tcp, &unix, people)?,
        };
        let child = command.stdin(Stdio::null()).spawn()?;
        let mut server = Self { kind, tcp, unix, child };
        server.wait_until_it_listens(folder)?;
        Ok(server)
    }

    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    pub fn judges(&self) -> bool {
        self.kind != ServerKind::NoOp
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

    pub fn resident_bytes(&self) -> Result<u64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kibibytes.ok_or("no VmRSS in /proc")?.parse::<u64>()? * 1024)
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
                let name = self.name();
                let state = ended.map_or("runs".to_owned(), |status| format!("ended: {status}"));
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                return Err(format!("{name} does not listen ({refused}) and {state}\n{log}").into());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    /// Nothing in it is worth a drain.
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("process {} is left behind: {error}", self.child.id());
        }
    }
}

pub fn own_thread_cpu() -> io::Result<Duration> {
    cpu_of(Path::new("/proc/thread-self/schedstat"))
}

/// The first figure of schedstat: nanoseconds on a processor (Documentation/scheduler/sched-stats.rst).
fn cpu_of(schedstat: &Path) -> io::Result<Duration> {
    let text = fs::read_to_string(schedstat)?;
    let nanos = text.split(' ').next().and_then(|word| word.parse().ok());
    nanos
        .map(Duration::from_nanos)
        .ok_or_else(|| io::Error::other(format!("{}: {text:?}", schedstat.display())))
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn noop(tcp: SocketAddr, unix: &Path) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("--noop-port").arg(tcp.port().to_string());
    command.arg("--noop-socket").arg(unix);
    Ok(command)
}

fn gatepost(
    kind: ServerKind,
    folder: &Path,
    tcp: SocketAddr,
    unix: &Path,
    people: &[Person],
) -> io::Result<Command> {
    let (decisions, stderr) = match kind {
        // Some 40 MB/s of lines: the writing counts, the disk does not.
        ServerKind::All => ("all", File::create("/dev/null")?),
        _ => ("refusals", File::create(folder.join("log"))?),
    };
    let configuration = include_str!("gatepost.toml")
        .replace("@decisions@", decisions)
        .replace("@tcp@", &tcp.to_string())
        .replace("@http@", &free_address()?.to_string())
        .replace("@unix@", &unix.display().to_string())
        .replace("@folder@", &folder.display().to_string());
    let path = folder.join("gatepost.toml");
    fs::write(&path, configuration)?;
    fs::write(folder.join("people.toml"), people::directory_file(people))?;

    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.arg("run").arg("-c").arg(path);
    command.stdout(Stdio::null()).stderr(stderr);
    Ok(command)
}
