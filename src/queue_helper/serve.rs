//! Takes requests on the socket, one a connection, from one user.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::Socket;
use crate::daemon::{Bound, Handed, bind};
use crate::queue::{Answer, Handled, REQUEST_BYTES, Request};
use crate::queue_helper::{Settings, StartFault, check};

/// Requests at once; others wait in the backlog.
const AT_ONCE: usize = 4;

/// For a request to come, and for its answer to be taken.
const TALK: Duration = Duration::from_secs(10);

/// Started by its socket, it ends when nobody has asked for so long: systemd starts it again.
const IDLE: Duration = Duration::from_secs(60);

/// Serves until SIGTERM or SIGINT. `ready` is called once it listens.
pub async fn run(file: &Path, ready: impl FnOnce()) -> Result<(), StartFault> {
    let Settings { endpoint, allowed, work } = check(file)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(StartFault::Other)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartFault::Other)?;
    let at = |fault| StartFault::Socket { socket: endpoint.socket.to_string(), fault };
    let mut handed = Handed::receive().map_err(StartFault::Other)?;
    let (listener, _path) = match bind(&endpoint, &mut handed).await.map_err(at)? {
        Bound::Unix(listener, path) => (listener, path),
        Bound::Tcp(_) => {
            return Err(at(std::io::Error::other("expected a unix socket (ListenStream=/path)")));
        }
    };
    ready();
    let idle = if matches!(endpoint.socket, Socket::Systemd(_)) { IDLE } else { Duration::MAX };
    let desk = Arc::new(Desk { work, allowed: allowed.as_raw(), places: Semaphore::new(AT_ONCE) });
    tokio::select! {
        () = serve(&listener, &desk, idle) => tracing::info!("nobody asks: ending until somebody does"),
        _ = terminate.recv() => tracing::info!("stopped"),
        _ = interrupt.recv() => tracing::info!("stopped"),
    }
    // What is under way is done: half of it would leave the rest in doubt.
    let _ = desk.places.acquire_many(u32::try_from(AT_ONCE).unwrap_or(u32::MAX)).await;
    Ok(())
}

struct Desk {
    work: super::Work,
    allowed: u32,
    places: Semaphore,
}

/// Until nobody asks for `idle`.
async fn serve(listener: &UnixListener, desk: &Arc<Desk>, idle: Duration) {
    loop {
        let Ok(place) = desk.places.acquire().await else { return };
        let accepted = match timeout(idle, listener.accept()).await {
            Ok(accepted) => accepted,
            Err(_) if desk.places.available_permits() == AT_ONCE - 1 => return,
            Err(_) => continue,
        };
        place.forget();
        let desk = Arc::clone(desk);
        tokio::spawn(async move {
            let _place = Place(&desk);
            match accepted {
                Ok((stream, _)) => desk.talk(stream).await,
                Err(fault) => tracing::warn!(%fault, "cannot accept"),
            }
        });
    }
}

/// Given back whatever becomes of the request.
struct Place<'a>(&'a Desk);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.places.add_permits(1);
    }
}

impl Desk {
    async fn talk(&self, mut stream: UnixStream) {
        let peer = match stream.peer_cred() {
            Ok(peer) => peer.uid(),
            Err(fault) => return tracing::warn!(%fault, "a peer without a user"),
        };
        if peer != self.allowed {
            tracing::warn!(peer, allowed = self.allowed, "refused: not the user who may ask");
            let refused = Answer::Refused(format!("the user {peer} may not ask (allow-user)"));
            return answer(&mut stream, &refused).await;
        }
        let request = match timeout(TALK, read(&mut stream)).await {
            Ok(Ok(request)) => request,
            Ok(Err(why)) => {
                tracing::warn!(peer, why, "refused: no request");
                return answer(&mut stream, &Answer::Refused(why)).await;
            }
            Err(_) => return tracing::warn!(peer, "no request came"),
        };
        let said = self.work.answer(&request).await;
        tell(&request, &said);
        answer(&mut stream, &said).await;
    }
}

/// One line; what follows it is not read.
async fn read(stream: &mut UnixStream) -> Result<Request, String> {
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    while !line.contains(&b'\n') {
        let length = stream.read(&mut chunk).await.map_err(|fault| fault.to_string())?;
        line.extend_from_slice(&chunk[..length]);
        if length == 0 || line.len() > REQUEST_BYTES {
            break;
        }
    }
    let Some(end) = line.iter().position(|b| *b == b'\n') else {
        return Err(match line.len() {
            long if long > REQUEST_BYTES => format!("more than {REQUEST_BYTES} bytes"),
            _ => "no whole line".into(),
        });
    };
    serde_json::from_slice(&line[..end]).map_err(|fault| fault.to_string())
}

async fn answer(stream: &mut UnixStream, answer: &Answer) {
    let mut line = serde_json::to_vec(answer).expect("words are JSON");
    line.push(b'\n');
    let written = timeout(TALK, async {
        stream.write_all(&line).await?;
        stream.shutdown().await
    });
    if !matches!(written.await, Ok(Ok(()))) {
        tracing::warn!("whoever asked does not take the answer");
    }
}

/// Whatever was done with the rights of root stands in the log.
fn tell(request: &Request, said: &Answer) {
    let verb = request.verb();
    match said {
        Answer::Refused(why) => tracing::warn!(verb, why, "refused"),
        Answer::Listed(ids) => tracing::info!(verb, ids = ids.len(), "done"),
        Answer::Done(handled) => {
            let count = |is: fn(&Handled) -> bool| handled.iter().filter(|one| is(one)).count();
            let done = count(|one| *one == Handled::Done);
            let gone = count(|one| *one == Handled::Gone);
            let failed = count(|one| !one.is_settled());
            let ids: Vec<&str> = request.ids().iter().take(20).map(|id| id.as_str()).collect();
            let login = match request {
                Request::Kick { login } => login.as_str(),
                _ => "",
            };
            tracing::info!(verb, done, gone, failed, login, ids = ids.join(" "), "done");
        }
    }
}
