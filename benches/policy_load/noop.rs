//! The ceiling: a tokio program that reads to the end of a request and answers DUNNO, nothing else.
//! It runs as a child of the benchmark, on a runtime built as the daemon builds its own.

use std::io;
use std::path::PathBuf;

use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Builder;

pub fn serve((port, socket): (u16, PathBuf)) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let tcp = TcpListener::bind(("127.0.0.1", port)).await?;
        let unix = UnixListener::bind(socket)?;
        tokio::try_join!(accept_tcp(tcp), accept_unix(unix)).map(|_| ())
    })
}

async fn accept_tcp(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(answer(stream));
    }
}

async fn accept_unix(listener: UnixListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(answer(stream));
    }
}

/// Ends at the end of the stream; a client never sends the next request before it has its answer.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut request = [0; 4096];
    let mut filled = 0;
    loop {
        match stream.read(&mut request[filled..]).await? {
            0 => return Ok(()),
            count => filled += count,
        }
        if request[..filled].ends_with(b"\n\n") {
            stream.write_all(b"action=DUNNO\n\n").await?;
            filled = 0;
        }
    }
}
