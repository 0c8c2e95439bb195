//! What the clients say: mail transactions as Postfix puts them to a policy service, built once.
//! Attributes and their order are those of Postfix 3.7 (SMTPD_POLICY_README; smtpd_check.c, check_policy_service).

use std::borrow::Cow;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::people::Person;

/// `pid.seconds.microseconds.number` in hex, as smtpd builds it, at a fixed width.
const INSTANCE: &str = "2f4c1.00000000.00000.0";

#[derive(Clone)]
pub struct Script {
    pub requests: Vec<Request>,
    /// Index of the first request of each transaction.
    pub transactions: Vec<usize>,
}

#[derive(Clone)]
pub struct Request {
    bytes: Vec<u8>,
    instance: Range<usize>,
    /// The first one of its transaction.
    pub opens: bool,
    /// gatepost has to refuse it for want of the relay right; all others get DUNNO.
    pub refused: bool,
}

impl Script {
    /// One transaction a person, in an order in which neighbours are not neighbours in the directory.
    pub fn of(people: &[Person]) -> Self {
        let mut script = Self { requests: Vec::new(), transactions: Vec::new() };
        let mut dice = Dice(1);
        for turn in 0..people.len() {
            // 617 is prime and no divisor of the number of people: everybody has one turn.
            let sender = turn * 617 % people.len();
            script.transactions.push(script.requests.len());
            let transaction = Transaction::new(sender, people, &mut dice);
            script.requests.extend(transaction.requests());
        }
        script
    }

    pub fn mean_bytes(&self) -> usize {
        let bytes: usize = self.requests.iter().map(|request| request.bytes.len()).sum();
        bytes / self.requests.len()
    }

    pub fn refused_share(&self) -> f64 {
        let refused = self.requests.iter().filter(|request| request.refused);
        refused.count() as f64 / self.requests.len() as f64
    }
}

impl Request {
    pub fn bytes_with(&mut self, instance: Instance) -> &[u8] {
        self.bytes[self.instance.clone()].copy_from_slice(&instance.0);
        &self.bytes
    }

    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// The instance attribute of one transaction.
#[derive(Clone, Copy)]
pub struct Instance([u8; INSTANCE.len()]);

/// Gives each transaction an instance that no other had, in this run or an earlier one.
pub struct Instances(u64);

impl Instances {
    /// Counts microseconds from now, one for each transaction.
    pub fn start() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(now.map_or(0, |since| since.as_secs()) << 20)
    }

    pub fn next(&mut self) -> Instance {
        self.0 += 1;
        let mut instance = [0; INSTANCE.len()];
        instance.copy_from_slice(INSTANCE.as_bytes());
        write_hex(&mut instance[6..14], self.0 >> 20);
        write_hex(&mut instance[15..20], self.0 & 0xf_ffff);
        Instance(instance)
    }
}

fn write_hex(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

/// One message: its sender, and its recipients with whether they are to be refused.
struct Transaction {
    client: String,
    login: String,
    sender: String,
    recipients: Vec<(String, bool)>,
    queue_id: String,
    size: u64,
}

impl Transaction {
    fn new(sender: usize, people: &[Person], dice: &mut Dice) -> Self {
        let person = &people[sender];
        let colleague = |dice: &mut Dice| people[dice.below(people.len())].addresses[0].clone();
        let stranger = |dice: &mut Dice| {
            let (name, domain) = (dice.below(5000), dice.below(300));
            format!("friend{name}@far{domain}.test")
        };
        let count = 1 + dice.below(3);
        let mut recipients: Vec<(String, bool)> = (0..count)
            .map(|_| match person.may_relay && dice.below(2) == 0 {
                true => (stranger(dice), false),
                false => (colleague(dice), false),
            })
            .collect();
        if !person.may_relay {
            // Beside one that is accepted at least, so that there is a DATA stage.
            recipients.truncate(2);
            recipients.insert(dice.below(recipients.len()), (stranger(dice), true));
        }
        Self {
            client: match sender % 4 {
                0 => format!("2001:db8:17::{sender:x}"),
                _ => format!("203.0.113.{}", 1 + sender % 254),
            },
            login: match sender % 4 {
                1 => format!("{}@example.org", person.login),
                _ => person.login.clone(),
            },
            sender: person.addresses[sender % 2].clone(),
            recipients,
            queue_id: format!("4g{sender:04}tLzz{:04}", dice.below(10_000)),
            size: 1500 + dice.below(90_000) as u64,
        }
    }

    fn requests(&self) -> Vec<Request> {
        let mut requests = Vec::new();
        let mut accepted: Vec<&str> = Vec::new();
        for (recipient, refused) in &self.recipients {
            let queue_id = if accepted.is_empty() { "" } else { &self.queue_id };
            requests.push(self.request("RCPT", recipient, 0, queue_id, *refused));
            if !refused {
                accepted.push(recipient);
            }
        }
        let only = if let [only] = accepted[..] { only } else { "" };
        for state in ["DATA", "END-OF-MESSAGE"] {
            requests.push(self.request(state, only, accepted.len(), &self.queue_id, false));
        }
        requests[0].opens = true;
        requests
    }

    fn request(
        &self,
        state: &str,
        recipient: &str,
        count: usize,
        queue_id: &str,
        refused: bool,
    ) -> Request {
        let Self { client, login, sender, size, .. } = self;
        let size = if state == "END-OF-MESSAGE" { size + 214 } else { *size };
        let text = format!(
            "request=smtpd_access_policy\nprotocol_state={state}\nprotocol_name=ESMTP\n\
             client_address={client}\nclient_name=unknown\nclient_port=52814\nreverse_client_name=unknown\n\
             server_address=192.0.2.25\nserver_port=587\nhelo_name=[192.168.1.20]\n\
             sender={sender}\nrecipient={recipient}\nrecipient_count={count}\nqueue_id={queue_id}\n\
             instance={INSTANCE}\nsize={size}\netrn_domain=\nstress=\n\
             sasl_method=PLAIN\nsasl_username={login}\nsasl_sender=\n\
             ccert_subject=\nccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\n\
             encryption_protocol=TLSv1.3\nencryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\n\n"
        );
        let instance = text.find(INSTANCE).expect("it was just written");
        Request {
            bytes: text.into_bytes(),
            instance: instance..instance + INSTANCE.len(),
            opens: false,
            refused,
        }
    }
}

/// The same throws in every run: splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((value ^ (value >> 31)) % bound as u64) as usize
    }
}
