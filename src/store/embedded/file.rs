//! The file of the embedded store: a redb database (file format 3) with records, events, and what it says of
//! itself.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition, WriteTransaction,
};

use crate::ledger::HashKey;
use crate::mail::Timestamp;
use crate::record::{Event, Record};

pub const RECORDS: TableDefinition<&str, &[u8]> = TableDefinition::new("records");
/// By the order in which they were committed: a checksum that also names the place, id and body.
pub const EVENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("outbox");
/// Until schema 2: without a checksum.
pub const BARE_EVENTS: TableDefinition<u64, (&str, &str)> = TableDefinition::new("events");
/// By table and key: a checksum that also names both, and the value.
pub const ROWS: TableDefinition<(u8, &str), &[u8]> = TableDefinition::new("rows");
const ABOUT: TableDefinition<&str, u64> = TableDefinition::new("about");

const SCHEMA: u64 = 3;

type Migration = fn(&File, &WriteTransaction) -> Result<(), redb::Error>;

/// The first leads from schema 1 to 2, and so on.
const MIGRATIONS: [Migration; SCHEMA as usize - 1] = [begin_rows, guard_events];

/// Pages that redb keeps; the system caches the others.
const CACHE_BYTES: usize = 64 << 20;

/// Why a file is not taken.
#[derive(Debug)]
pub enum OpenFault {
    /// Another process has it.
    Locked,
    /// A newer release wrote it.
    Newer { schema: u64 },
    /// Its records were made under another key.
    OtherKey { file: u32, given: u32 },
    /// It is no store, or not whole.
    Broken(String),
    /// The system does not let us.
    Io(io::Error),
}

impl fmt::Display for OpenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str("another process has it open"),
            Self::Newer { schema } => {
                write!(f, "a newer gatepost wrote it (schema {schema}, this one knows {SCHEMA})")
            }
            Self::OtherKey { file, given } => write!(
                f,
                "its records were made under the hash key {file:08x}, and hash-key-file holds {given:08x}"
            ),
            Self::Broken(why) => {
                write!(
                    f,
                    "it is damaged or no store: {why}; put a backup in its place, or take it away"
                )
            }
            Self::Io(fault) => write!(f, "{fault}"),
        }
    }
}

impl std::error::Error for OpenFault {}

impl From<io::Error> for OpenFault {
    fn from(fault: io::Error) -> Self {
        match fault.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Self::Broken(fault.to_string())
            }
            _ => Self::Io(fault),
        }
    }
}

impl From<DatabaseError> for OpenFault {
    fn from(fault: DatabaseError) -> Self {
        match fault {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Self::Locked
            }
            DatabaseError::Storage(StorageError::Io(fault)) => fault.into(),
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<redb::Error> for OpenFault {
    fn from(fault: redb::Error) -> Self {
        match fault {
            redb::Error::Io(fault) => fault.into(),
            other => Self::Broken(other.to_string()),
        }
    }
}

/// How a database is opened; tests put a disk that fails in between.
pub type Opener = fn(&Builder, &Path) -> Result<Database, DatabaseError>;

/// Where the store is, and under which key.
pub struct File {
    pub path: PathBuf,
    pub key: HashKey,
    pub opener: Opener,
}

impl File {
    /// Opens the file, or makes one where there is none. What stands there is never begun anew.
    pub fn open(&self) -> Result<Database, OpenFault> {
        match fs::metadata(&self.path) {
            Ok(about) if about.len() == 0 => return Err(OpenFault::Broken("it is empty".into())),
            Ok(_) => {}
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => self.create()?,
            Err(fault) => return Err(fault.into()),
        }
        self.open_existing()
    }

    /// One that was there before: a file that vanished under a running daemon is not made again.
    pub fn open_existing(&self) -> Result<Database, OpenFault> {
        // redb reads pages unchecked, and may panic on a damaged one.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let database = (self.opener)(&builder(), &self.path)?;
            self.check(&database)?;
            Ok(database)
        }));
        opened.unwrap_or_else(|_| Err(OpenFault::Broken("its pages make no sense".into())))
    }

    /// Written aside and moved into place whole, so that no crash leaves half of one.
    fn create(&self) -> Result<(), OpenFault> {
        let aside = aside(&self.path);
        match fs::remove_file(&aside) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault.into()),
            _ => {}
        }
        drop(self.begin(&aside)?);
        put_in_place(&aside, &self.path)?;
        tracing::info!(path = %self.path.display(), "a new store is begun");
        Ok(())
    }

    /// A database without a record.
    pub fn begin(&self, path: &Path) -> Result<Database, OpenFault> {
        // redb makes its own of an empty file.
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let database = builder().create(path)?;
        let write = database.begin_write().map_err(redb::Error::from)?;
        self.introduce(&write)?;
        write.commit().map_err(redb::Error::from)?;
        Ok(database)
    }

    fn introduce(&self, write: &WriteTransaction) -> Result<(), redb::Error> {
        write.open_table(RECORDS)?;
        write.open_table(EVENTS)?;
        write.open_table(ROWS)?;
        let mut about = write.open_table(ABOUT)?;
        about.insert("schema", SCHEMA)?;
        about.insert("hash-key", u64::from(self.key.id()))?;
        Ok(())
    }

    fn check(&self, database: &Database) -> Result<(), OpenFault> {
        let (schema, key) = about(database)?;
        let known = schema.and_then(|schema| usize::try_from(schema).ok()).unwrap_or_default();
        if known as u64 > SCHEMA {
            return Err(OpenFault::Newer { schema: known as u64 });
        }
        let (Some(key), 1..) = (key, known) else {
            return Err(OpenFault::Broken("it does not say what it is".into()));
        };
        let (file, given) = (key as u32, self.key.id());
        if file != given {
            return Err(OpenFault::OtherKey { file, given });
        }
        Ok(self.migrate(database, known)?)
    }

    /// A record as it is kept: a checksum that also names the account, the day it was written, its bytes.
    pub fn pack(&self, account: &str, day: u32, record: &Record) -> Vec<u8> {
        let bytes = record.to_bytes();
        let mut packed = Vec::with_capacity(SUM + DAY + bytes.len());
        packed.extend(self.sum(account, &day.to_le_bytes(), &bytes));
        packed.extend(day.to_le_bytes());
        packed.extend(bytes);
        packed
    }

    /// `None`: damaged.
    pub fn unpack(&self, account: &str, packed: &[u8]) -> Option<(u32, Record)> {
        let (sum, rest) = packed.split_first_chunk::<SUM>()?;
        let (day, bytes) = rest.split_first_chunk::<DAY>()?;
        (self.sum(account, day, bytes) == *sum).then_some(())?;
        Some((u32::from_le_bytes(*day), Record::from_bytes(bytes).ok()?))
    }

    /// A row as it is kept.
    pub fn pack_row(&self, table: u8, key: &str, value: &str) -> Vec<u8> {
        let mut packed = self.sum(key, &[table], value.as_bytes()).to_vec();
        packed.extend(value.as_bytes());
        packed
    }

    /// `None`: damaged.
    pub fn unpack_row(&self, table: u8, key: &str, packed: &[u8]) -> Option<Box<str>> {
        let (sum, value) = packed.split_first_chunk::<SUM>()?;
        (self.sum(key, &[table], value) == *sum).then_some(())?;
        Some(std::str::from_utf8(value).ok()?.into())
    }

    /// An event as it is kept.
    pub fn pack_event(&self, place: u64, event: &Event) -> Vec<u8> {
        let id = event.id.as_bytes();
        let mut rest = (id.len() as u32).to_le_bytes().to_vec();
        rest.extend(id);
        rest.extend(event.body.as_bytes());
        let mut packed = self.sum("", &place.to_le_bytes(), &rest).to_vec();
        packed.extend(rest);
        packed
    }

    /// `None`: damaged.
    pub fn unpack_event(&self, place: u64, packed: &[u8]) -> Option<Event> {
        let (sum, rest) = packed.split_first_chunk::<SUM>()?;
        (self.sum("", &place.to_le_bytes(), rest) == *sum).then_some(())?;
        let (length, rest) = rest.split_first_chunk()?;
        let (id, body) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let text = |bytes| Some(std::str::from_utf8(bytes).ok()?.into());
        Some(Event { id: text(id)?, body: text(body)? })
    }

    fn migrate(&self, database: &Database, known: usize) -> Result<(), redb::Error> {
        let Some(steps) = MIGRATIONS.get(known - 1..).filter(|steps| !steps.is_empty()) else {
            return Ok(());
        };
        let mut write = database.begin_write()?;
        write.set_quick_repair(true);
        steps.iter().try_for_each(|step| step(self, &write))?;
        write.open_table(ABOUT)?.insert("schema", SCHEMA)?;
        Ok(write.commit()?)
    }

    fn sum(&self, account: &str, day: &[u8], bytes: &[u8]) -> [u8; SUM] {
        self.key.bytes(&[account.as_bytes(), day, bytes]).bits().to_le_bytes()
    }
}

const SUM: usize = 8;
const DAY: usize = 4;

/// The day a record is written, for expiry.
pub fn day(at: Timestamp) -> u32 {
    u32::try_from(at.unix_ms().div_euclid(86_400_000)).unwrap_or_default()
}

pub fn open_database(builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
    builder.open(path)
}

/// Which file it is, and how long, since a running daemon is not told when somebody takes it away or cuts it.
pub struct Place {
    device: u64,
    inode: u64,
    /// At least.
    bytes: u64,
}

impl Place {
    pub fn of(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self { device: about.dev(), inode: about.ino(), bytes: about.len() })
    }

    /// Whether the file that was opened is still there, and whole while it is open.
    pub fn check(&self, path: &Path, is_open: bool) -> Result<(), String> {
        let now = Self::of(path).map_err(|fault| fault.to_string())?;
        if (now.device, now.inode) != (self.device, self.inode) {
            return Err(
                "another file stands in its place since gatepost began; restart gatepost".into()
            );
        }
        if is_open && now.bytes < self.bytes {
            return Err(format!("it was cut from {} to {} bytes", self.bytes, now.bytes));
        }
        Ok(())
    }

    /// Whoever has it open may make it longer, or shorter.
    pub fn grown(&mut self, path: &Path) -> Result<(), String> {
        self.bytes = Self::of(path).map_err(|fault| fault.to_string())?.bytes;
        Ok(())
    }
}

/// Beside `path`, for what is not whole yet.
pub fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Moves a whole file into place for good.
pub fn put_in_place(aside: &Path, path: &Path) -> io::Result<()> {
    fs::rename(aside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder.set_repair_callback(|session| {
        let done = (session.progress() * 100.0) as u32;
        tracing::warn!(done, "the store was not closed and is being repaired, in percent");
    });
    builder
}

/// Schema, and id of the hash key.
fn about(database: &Database) -> Result<(Option<u64>, Option<u64>), redb::Error> {
    let about = database.begin_read()?.open_table(ABOUT)?;
    let read = |name| Ok::<_, redb::Error>(about.get(name)?.map(|value| value.value()));
    Ok((read("schema")?, read("hash-key")?))
}

/// To schema 2.
fn begin_rows(_: &File, write: &WriteTransaction) -> Result<(), redb::Error> {
    write.open_table(ROWS)?;
    Ok(())
}

/// To schema 3.
fn guard_events(file: &File, write: &WriteTransaction) -> Result<(), redb::Error> {
    {
        let bare = write.open_table(BARE_EVENTS)?;
        let mut events = write.open_table(EVENTS)?;
        for entry in bare.iter()? {
            let (place, event) = entry?;
            let (id, body) = event.value();
            let event = Event { id: id.into(), body: body.into() };
            events.insert(place.value(), file.pack_event(place.value(), &event).as_slice())?;
        }
    }
    write.delete_table(BARE_EVENTS)?;
    Ok(())
}
