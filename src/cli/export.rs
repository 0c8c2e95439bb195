//! `gatepost directory export`: the directory as a file, for nodes that cannot ask it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::source::Failed;
use crate::cli::{DEFAULT_FILE, Exit, counted, host, is_read, shown, small_runtime};
use crate::config::{self, Config, DirectorySource};
use crate::daemon::{clock, open_directory};
use crate::directory::meter::NoMeter;
use crate::directory::{self, Export};

/// It names every address and every group of a site.
const MODE: u32 = 0o640;

#[derive(clap::Args)]
#[command(
    after_help = "The file has every account with its logins, state and addresses, the groups that the configuration
names with all their members, and the other recipients. What cannot be said alike is told.

Exit codes: 0 written; 1 faults in the configuration, or the file cannot be written; 4 there is nobody to
export; 75 the directory does not tell all now. Other than with 0 the file stays as it was.

Examples:
  gatepost directory export > people.toml
  gatepost directory export --to /srv/gatepost/people.toml"
)]
pub(super) struct Arguments {
    /// Configuration file
    #[arg(short, long, default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// Write to this file, which is replaced at once and whole; else to stdout
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
}

/// Why nothing was exported, line by line.
struct Kept(Exit, Vec<String>);

/// Writes the directory file.
pub(super) fn export(arguments: &Arguments) -> Exit {
    let exported = read(&arguments.config);
    match exported.and_then(|(header, export)| write(arguments, &header, &export)) {
        Ok(()) => Exit::Done,
        Err(Kept(exit, why)) => {
            for line in why {
                eprintln!("{}", shown(&line));
            }
            exit
        }
    }
}

/// The head of the file, and the export.
fn read(file: &Path) -> Result<(String, Export), Kept> {
    let config = config::load(file, &host())
        .map_err(|faults| Kept(Exit::No, faults.iter().map(ToString::to_string).collect()))?;
    let Some(from) = origin(&config) else {
        let why = format!("{}: there is no [directory] to export", file.display());
        return Err(Kept(Exit::NotFound, vec![why]));
    };
    let not_now = |why: String| Kept(Exit::Deferred, vec![format!("nothing is exported: {why}")]);
    let runtime = small_runtime().map_err(|fault| not_now(fault.to_string()))?;
    let export = runtime.block_on(async {
        let directory = open_directory(&config.startup, Arc::new(NoMeter))
            .map_err(|fault| not_now(fault.to_string()))?;
        match directory {
            Some(directory) => {
                directory::export(&*directory, &config.rules.groups).await.map_err(not_now)
            }
            None => Err(not_now("there is no directory".into())),
        }
    })?;
    if export.accounts == 0 {
        let why = format!("nothing is exported: {from} has no account");
        return Err(Kept(Exit::NotFound, vec![why]));
    }
    Ok((header(file, &from, &export), export))
}

/// The directory in words.
fn origin(config: &Config) -> Option<String> {
    Some(match config.startup.directory.as_ref()? {
        DirectorySource::File(path) => format!("the file {}", path.display()),
        DirectorySource::Ldap { ldap, .. } => format!("{} by LDAP", ldap.base),
    })
}

fn header(file: &Path, from: &str, export: &Export) -> String {
    let lines = [
        format!(
            "A directory file, exported by gatepost {} at {}:",
            env!("CARGO_PKG_VERSION"),
            clock::now()
        ),
        format!(
            "{} and {} from {from}, for the groups of {}.",
            counted(export.accounts, "account"),
            counted(export.groups, "group"),
            file.display()
        ),
        "The next export writes it anew: what is changed here is lost.".into(),
    ];
    lines.iter().map(|line| format!("# {}\n", shown(line))).collect()
}

fn write(arguments: &Arguments, header: &str, export: &Export) -> Result<(), Kept> {
    for line in &export.told {
        eprintln!("{}", shown(line));
    }
    let text = format!("{header}{}", export.text);
    let Some(path) = &arguments.to else {
        let mut out = io::stdout().lock();
        let printed = is_read(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
        return printed.map(|_| ()).map_err(|Failed { exit, why }| Kept(exit, vec![why]));
    };
    let kept = |fault| Kept(Exit::No, vec![format!("{}: {fault}", path.display())]);
    replace(path, text.as_bytes()).map_err(kept)
}

/// Writes the new file beside the old one and moves it into place, so that nobody reads half of it.
/// It keeps the owner and group of the old one, by which a daemon may read it.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    let mut young = std::ffi::OsString::from(".");
    young.push(name);
    young.push(format!(".{}", std::process::id()));
    let young = path.with_file_name(young);
    // Left behind by a process of the same id, long ago.
    fs::remove_file(&young).or_else(absent)?;
    let written = write_young(path, &young, text).and_then(|()| fs::rename(&young, path));
    if written.is_err() {
        let _ = fs::remove_file(&young);
    }
    written?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn write_young(path: &Path, young: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(young)?;
    file.write_all(text)?;
    match fs::metadata(path) {
        Ok(old) => {
            let new = file.metadata()?;
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
        }
        Err(fault) => absent(fault)?,
    }
    // Whatever the umask.
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.sync_all()
}

fn absent(fault: io::Error) -> io::Result<()> {
    if fault.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(fault) }
}
