//! One milter connection as a state machine: commands in, steps out; no clock, no socket. Written for
//! what Postfix and Sendmail really send, which differs from libmilter's order in many small things.

use std::fmt::Write;

use bytes::BytesMut;
use compact_str::CompactString;

use crate::mail::{
    Address, Certificate, Client, Envelope, Facts, Login, Protocol, Reply, SmtpReply, Stage,
};
use crate::wire::milter::macros::{Macros, Name};
use crate::wire::milter::response::{Changes, Response};
use crate::wire::milter::{Agreement, Command, Connection, Fault, Path, Peer, Wants};
use crate::wire::text::{decode_xtext, fold_fingerprint, lossy};

/// What follows from a command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// The command has no reply.
    Silent,
    /// The reply has been written.
    Replied,
    /// This must be judged, and [`Session::answer`] called with what comes of it.
    Judge(Box<Facts>),
    /// The mail server has said goodbye.
    Quit,
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has been said.
    Opened,
    /// The next SMTP session begins with CONNECT.
    Negotiated,
    /// In an SMTP session, outside a transaction.
    Connected,
    /// MAIL has passed.
    Mail,
    /// A recipient has passed.
    Rcpt,
    /// DATA has passed; header lines and body may follow.
    Data,
}

/// Keeps what a mail server has said: of the connection, of the SMTP session, of the message.
#[derive(Debug)]
pub struct Session {
    wants: Wants,
    /// Unique for the connection; with the message's number it names a transaction.
    name: CompactString,
    state: State,
    agreement: Option<Agreement>,
    macros: Macros,
    client: Client,
    /// The message came in by no network: its client is the machine itself.
    is_local: bool,
    message: Message,
    /// What [`Step::Judge`] waits for.
    asked: Option<(Stage, Option<Address>)>,
    /// The recipient asked about is written with a comma.
    has_comma: bool,
}

/// What is known of a transaction. Who sends it is fixed at MAIL, and stays for recipients that come
/// after the end of a message without a new MAIL: Postfix before 3.7.22, 3.8.20, 3.9.14, 3.10.13 and
/// 3.11.6 goes on so after smtpd_end_of_data_restrictions has rejected.
#[derive(Debug, Default)]
struct Message {
    /// How many there were before on this connection.
    number: u64,
    sender: Address,
    login: Option<Login>,
    sasl_method: CompactString,
    queue_id: CompactString,
    size_bytes: u64,
    /// Recipients that passed, and the last of them.
    passed: u32,
    recipient: Option<Address>,
    /// The refusal of a recipient that Sendmail may send to all the same.
    stray: Option<SmtpReply>,
}

impl Session {
    /// `name` must be unique among all connections and runs of all nodes of one MTA.
    pub fn new(name: &str, wants: Wants) -> Self {
        Self {
            wants,
            name: name.into(),
            state: State::Opened,
            agreement: None,
            macros: Macros::default(),
            client: Client::default(),
            is_local: false,
            message: Message::default(),
            asked: None,
            has_comma: false,
        }
    }

    /// Takes a command. A reply that needs no judging is written to `out`.
    ///
    /// | command | leads to | reply |
    /// |---|---|---|
    /// | O | negotiated; twice is a fault, and so is anything but O and Q before it | O |
    /// | C | connected, as a new client | continue |
    /// | H | connected; a transaction is forgotten | continue |
    /// | M | in a transaction, whatever was before | judged |
    /// | R | a recipient more | judged |
    /// | T | in the data | continue, or judged |
    /// | L N B U | where it was | continue |
    /// | E | connected; sender and login are remembered | judged |
    /// | D A K | D where it was, A connected, K negotiated | none |
    /// | Q | the end | none |
    pub fn step(&mut self, command: Command, out: &mut BytesMut) -> Result<Step, Fault> {
        self.asked = None;
        self.check_negotiation(&command)?;
        match command {
            Command::Negotiate(offer) => {
                let agreement = offer.answer(self.wants)?;
                agreement.write(out);
                self.agreement = Some(agreement);
                self.state = State::Negotiated;
                return Ok(Step::Replied);
            }
            Command::Macros { stage, pairs } => {
                self.macros.replace(stage, pairs);
                return Ok(Step::Silent);
            }
            Command::Connect(connection) => self.connect(&connection),
            // Postfix says HELO within a transaction before it says ABORT.
            Command::Helo => {
                self.macros.forget_after(b'H');
                self.forget_message();
            }
            Command::Mail(path) => {
                self.mail(&path);
                return Ok(self.judge(Stage::Mail, None));
            }
            Command::Rcpt(path) => {
                self.has_comma = path.address.contains(&b',');
                return Ok(self.judge(Stage::Rcpt, Some(read_address(path.address))));
            }
            Command::Data if self.wants.data => return Ok(self.judge(Stage::Data, None)),
            Command::Data => self.state = State::Data,
            Command::EndOfMessage if self.message.stray.is_some() => {
                if let Some(refusal) = self.message.stray.take() {
                    Response::Refuse(&refusal).write(out);
                }
                self.end_message();
                return Ok(Step::Replied);
            }
            Command::EndOfMessage => return Ok(self.judge(Stage::EndOfMessage, None)),
            Command::Header | Command::EndOfHeaders | Command::Body | Command::Unknown => {}
            Command::Abort => {
                self.macros.forget_after(b'H');
                self.forget_message();
                return Ok(Step::Silent);
            }
            Command::QuitNewConnection => {
                self.macros = Macros::default();
                self.forget_message();
                self.client = Client::default();
                self.is_local = false;
                self.state = State::Negotiated;
                return Ok(Step::Silent);
            }
            Command::Quit => return Ok(Step::Quit),
        }
        Response::Continue.write(out);
        Ok(Step::Replied)
    }

    /// Writes what `reply` means for the command that was to be judged; `id` names the decision, where
    /// what passes is to bear it.
    pub fn answer(&mut self, reply: &Reply, id: Option<&str>, out: &mut BytesMut) {
        let Some((stage, recipient)) = self.asked.take() else { return };
        let response = match reply {
            Reply::Refuse(refusal) => Response::Refuse(refusal),
            Reply::Hold(refusal) if stage == Stage::EndOfMessage && !self.may_quarantine() => {
                Response::Refuse(refusal)
            }
            _ if stage == Stage::EndOfMessage => Response::Accept,
            _ => Response::Continue,
        };
        if stage == Stage::EndOfMessage {
            let passes = response == Response::Accept;
            let id = id.filter(|_| passes && self.may_add_header());
            let quarantine = match reply {
                Reply::Hold(refusal) if passes => Some(refusal),
                _ => None,
            };
            response.end(Changes { id, quarantine }, out);
            self.end_message();
            return;
        }
        response.write(out);
        if let Response::Refuse(refusal) = response {
            // Sendmail 8.17 queues a recipient before it asks, and takes a refused one off by reading
            // the argument of RCPT as a list (recipient.c, removefromlist): one with a comma it does
            // not find there, and sends it out. So the whole message is refused at its end.
            if stage == Stage::Rcpt && self.has_comma {
                self.message.stray = Some(refusal.clone());
            }
            return;
        }
        match stage {
            Stage::Mail => self.state = State::Mail,
            Stage::Rcpt => {
                self.message.passed += 1;
                self.message.recipient = recipient;
                self.state = State::Rcpt;
            }
            _ => self.state = State::Data,
        }
    }

    /// Outside a transaction: closing now costs no message.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Opened | State::Negotiated | State::Connected)
    }

    fn check_negotiation(&self, command: &Command) -> Result<(), Fault> {
        match (self.state, command) {
            (State::Opened, Command::Negotiate(_) | Command::Quit) => Ok(()),
            (State::Opened, _) => Err(Fault::NotNegotiated(command.code())),
            (_, Command::Negotiate(_)) => Err(Fault::NegotiatedTwice),
            _ => Ok(()),
        }
    }

    fn connect(&mut self, connection: &Connection) {
        self.forget_message();
        let (address, is_local) = match connection.peer {
            // Postfix: what its sendmail(1) handed in has port 0, which no network connection has.
            Peer::Inet { address, port } => {
                (address, port == 0 && address.is_some_and(|address| address.is_loopback()))
            }
            Peer::Local => (None, true),
            Peer::Unknown => (None, connection.host == b"localhost"),
        };
        let is_name = !connection.host.starts_with(b"[") && self.is_confirmed();
        let name = is_name.then(|| Client::parse_name(connection.host)).flatten();
        self.client = Client { address, name, ..Client::default() };
        self.is_local = is_local;
        self.macros.forget_after(b'C');
    }

    /// Whether the name leads back to the address. Sendmail gives a name that does not, and says so
    /// beside it; Postfix gives none.
    fn is_confirmed(&self) -> bool {
        let resolved = self.macros.value(b'C', Name::ClientResolve);
        let client = self.macros.value(b'C', Name::Client).unwrap_or_default();
        resolved.is_none_or(|word| word == b"OK")
            && memchr::memmem::find(client, b"(may be forged)").is_none()
    }

    fn mail(&mut self, path: &Path) {
        self.forget_message();
        self.macros.forget_after(b'M');
        let login = self.login();
        let sasl_method = match login {
            Some(_) => self.macros.value(b'M', Name::AuthType).map(lossy).unwrap_or_default(),
            None => CompactString::default(),
        };
        self.client.certificate = self.certificate();
        self.client.is_local = self.is_local && login.is_none();
        self.message = Message {
            number: self.message.number,
            sender: read_address(path.address),
            login,
            sasl_method,
            size_bytes: path.size_bytes(),
            ..Message::default()
        };
    }

    /// Sendmail writes a login in xtext (RFC 3461 4), and `{auth_ssf}` beside it, which Postfix does
    /// not have.
    fn login(&self) -> Option<Login> {
        let login = self.macros.value(b'M', Name::AuthAuthen)?;
        match self.macros.value(b'M', Name::AuthSsf) {
            Some(_) => Login::parse(&decode_xtext(login)),
            None => Login::parse(login),
        }
    }

    /// Postfix gives no fingerprint, and the name only of a certificate that a trusted CA signed.
    /// Sendmail gives names of any certificate, in xtext, and in `{verify}` what became of it.
    fn certificate(&self) -> Option<Box<Certificate>> {
        let fingerprint = self.macros.value(b'M', Name::CertFp).and_then(fold_fingerprint);
        let subject = match self.macros.value(b'M', Name::Verify) {
            None => self.macros.value(b'M', Name::CertSubject).map(<[u8]>::to_vec),
            Some(b"OK") => self.macros.value(b'M', Name::CnSubject).map(decode_xtext),
            Some(_) => None,
        };
        if fingerprint.is_none() && subject.is_none() {
            return None;
        }
        let subject = subject.map(|name| String::from_utf8_lossy(&name).into());
        Some(Box::new(Certificate { fingerprints: [fingerprint, None], subject }))
    }

    /// The facts of the command under way.
    fn judge(&mut self, stage: Stage, recipient: Option<Address>) -> Step {
        let code = match stage {
            Stage::Mail => b'M',
            Stage::Rcpt => b'R',
            Stage::Data => b'T',
            _ => b'E',
        };
        // Postfix has one from the second recipient on, Sendmail says it at MAIL and never again.
        if let Some(id) = self.macros.value(code, Name::QueueId) {
            self.message.queue_id = lossy(id);
        }
        let message = &self.message;
        let is_whole = matches!(stage, Stage::Data | Stage::EndOfMessage);
        let only = message.recipient.as_ref().filter(|_| is_whole && message.passed == 1);
        let mut instance = self.name.clone();
        write!(instance, ".{:x}", message.number).expect("memory");
        let facts = Facts {
            protocol: Protocol::Milter,
            stage,
            client: self.client.clone(),
            login: message.login.clone(),
            sasl_method: message.sasl_method.clone(),
            envelope: Envelope {
                sender: message.sender.clone(),
                recipient: recipient.clone().or_else(|| only.cloned()),
                recipient_count: if is_whole { message.passed } else { 0 },
                instance,
                queue_id: message.queue_id.clone(),
                size: message.size_bytes,
            },
        };
        self.asked = Some((stage, recipient));
        Step::Judge(Box::new(facts))
    }

    /// Nothing of a transaction is left, its sender and login least of all.
    fn forget_message(&mut self) {
        self.message = Message { number: self.message.number + 1, ..Message::default() };
        self.client.is_local = false;
        self.state = State::Connected;
    }

    /// The verdict on the message is given. What comes behind it without a MAIL is a message of its
    /// own, of the same sender.
    fn end_message(&mut self) {
        self.macros.forget_after(b'H');
        self.message.number += 1;
        self.message.queue_id = CompactString::default();
        self.message.passed = 0;
        self.message.recipient = None;
        self.message.stray = None;
        self.state = State::Connected;
    }

    fn may_add_header(&self) -> bool {
        self.wants.id_header && self.agreement.is_some_and(Agreement::may_add_header)
    }

    fn may_quarantine(&self) -> bool {
        self.agreement.is_some_and(Agreement::may_quarantine)
    }
}

/// A MAIL or RCPT argument as policy delegation would have it. One whose quotes or brackets do not
/// match is read as it stands, so that it is judged by what follows its last `@`.
fn read_address(path: &[u8]) -> Address {
    Address::from_path(path).unwrap_or_else(|_| {
        let bare = path.strip_prefix(b"<").unwrap_or(path);
        Address::from_internal(bare.strip_suffix(b">").unwrap_or(bare))
    })
}
