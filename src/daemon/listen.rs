//! Sockets: bound with owner, group and mode in place before anyone can connect, or handed over by
//! systemd.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Group, User, chown};
use socket2::{Domain, SockRef};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::config::{Endpoint, Socket};

/// A process that is frozen, or whose backlog is full, takes no connection; its socket is its own all
/// the same.
const LIVE_WITHIN: Duration = Duration::from_secs(1);

/// `sun_path` has 108 bytes, the last of them 0 (unix(7)).
const PATH_LIMIT_BYTES: usize = 107;

/// A bound socket.
pub enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, Option<OwnPath>),
}

/// The path of a unix socket of ours; removed when dropped, unless somebody else took it over.
pub struct OwnPath {
    path: PathBuf,
    inode: u64,
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        if std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Sockets systemd handed over, by name; each can be taken once.
pub struct Handed(Vec<(String, OwnedFd)>);

impl Handed {
    /// Reads `LISTEN_FDS` and `LISTEN_FDNAMES` (sd_listen_fds(3)). Call once, at start.
    pub fn receive() -> io::Result<Self> {
        // The names may be a parent's when the sockets are (sd-notify 0.5 takes that for a fault).
        if sd_notify::listen_fds()?.len() == 0 {
            return Ok(Self(Vec::new()));
        }
        let handed = sd_notify::listen_fds_with_names()?
            // SAFETY: systemd passes these descriptors to this process alone, and this is the one
            // place that takes them, once.
            .map(|(fd, name)| (name, unsafe { OwnedFd::from_raw_fd(fd) }))
            .collect();
        Ok(Self(handed))
    }

    fn take(&mut self, name: &str) -> io::Result<OwnedFd> {
        match self.0.iter().position(|(known, _)| known == name) {
            Some(index) => Ok(self.0.swap_remove(index).1),
            None => Err(io::Error::other(format!(
                "systemd handed over no socket named \"{name}\" (FileDescriptorName= in the socket unit)"
            ))),
        }
    }
}

/// Binds an endpoint. Must be called within the runtime.
pub async fn bind(endpoint: &Endpoint, handed: &mut Handed) -> io::Result<Bound> {
    match &endpoint.socket {
        Socket::Inet(address) => Ok(Bound::Tcp(TcpListener::bind(address).await?)),
        Socket::Unix(path) => bind_unix(path, endpoint).await,
        Socket::Systemd(name) => adopt(handed.take(name)?),
    }
}

fn adopt(fd: OwnedFd) -> io::Result<Bound> {
    let socket = SockRef::from(&fd);
    if !socket.is_listener()? {
        return Err(io::Error::other(
            "the socket handed over does not listen (ListenStream= in the socket unit)",
        ));
    }
    socket.set_nonblocking(true)?;
    if socket.domain()? == Domain::UNIX {
        return Ok(Bound::Unix(UnixListener::from_std(fd.into())?, None));
    }
    Ok(Bound::Tcp(TcpListener::from_std(fd.into())?))
}

/// Binds in a folder nobody else can enter, sets owner, group and mode there, and moves the socket
/// to its place: at no moment can anyone connect who should not.
async fn bind_unix(path: &Path, endpoint: &Endpoint) -> io::Result<Bound> {
    // Moving a socket to a longer path works; connecting to it there does not.
    if path.as_os_str().len() > PATH_LIMIT_BYTES {
        return Err(io::Error::other(format!(
            "the path of a unix socket has at most {PATH_LIMIT_BYTES} bytes, and this has {}",
            path.as_os_str().len()
        )));
    }
    refuse_live_socket(path).await?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let nursery = Nursery::make(parent)?;
    let young = nursery.path.join("s");
    let listener = UnixListener::bind(&young).map_err(|fault| named(&young, fault))?;
    let owner = endpoint.owner.as_deref().map(user_id).transpose()?;
    let group = endpoint.group.as_deref().map(group_id).transpose()?;
    if owner.is_some() || group.is_some() {
        chown(&young, owner, group).map_err(|errno| named(path, errno.into()))?;
    }
    std::fs::set_permissions(&young, std::fs::Permissions::from_mode(endpoint.mode))?;
    let inode = std::fs::metadata(&young)?.ino();
    std::fs::rename(&young, path).map_err(|fault| named(path, fault))?;
    Ok(Bound::Unix(listener, Some(OwnPath { path: path.into(), inode })))
}

/// A socket that somebody answers on is theirs; one left behind by a dead process is taken over.
async fn refuse_live_socket(path: &Path) -> io::Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::other(format!("{} exists and is no socket", path.display())));
    }
    let answer = tokio::time::timeout(LIVE_WITHIN, UnixStream::connect(path)).await;
    match answer {
        Ok(Err(fault)) if fault.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        _ => Err(io::Error::other(format!(
            "{} is in use: another process listens there",
            path.display()
        ))),
    }
}

struct Nursery {
    path: PathBuf,
}

impl Nursery {
    fn make(parent: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        // Short: a socket's path ends at 107 bytes (unix(7)).
        let path = parent.join(format!(".gp{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|fault| named(parent, fault))?;
        Ok(Self { path })
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn named(path: &Path, fault: io::Error) -> io::Error {
    io::Error::new(fault.kind(), format!("{}: {fault}", path.display()))
}

fn user_id(name: &str) -> io::Result<nix::unistd::Uid> {
    match User::from_name(name)? {
        Some(user) => Ok(user.uid),
        None => Err(io::Error::other(format!("socket-owner: this machine has no user \"{name}\""))),
    }
}

fn group_id(name: &str) -> io::Result<nix::unistd::Gid> {
    match Group::from_name(name)? {
        Some(group) => Ok(group.gid),
        None => {
            Err(io::Error::other(format!("socket-group: this machine has no group \"{name}\"")))
        }
    }
}
