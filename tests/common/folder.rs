//! A throw-away folder for servers. What runs in it ends with it, also when a test panics or is
//! interrupted.

use crate::process::{DEADLINE, within};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The throw-away folder with its keeper: a shell that sleeps on a pipe, and if the test program
/// vanishes (Ctrl-C, SIGKILL) ends the process groups noted in `pids/` and removes the folder.
pub struct Folder {
    pub path: PathBuf,
    keeper: Child,
}

const KEEPER: &str = r#"
read done && exit
for file in pids/*; do kill -s KILL -- -$(head -n 1 "$file"); done
cd / && rm -rf "$1"
"#;

impl Folder {
    pub fn make() -> Folder {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::SeqCst);
        let path = PathBuf::from(format!("/tmp/gatepost-test-{}-{number}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        make_folder(&path);
        make_folder(&path.join("pids"));
        let keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&path)
            .current_dir(&path)
            // Not of our group: Ctrl-C must not reach it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell starts");
        Folder { path, keeper }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.keeper.stdin.take() {
            pipe.write_all(b"done\n").ok();
        }
        self.keeper.wait().ok();
        // A daemon that was killed a moment ago may still have made a file in between.
        within(DEADLINE, || fs::remove_dir_all(&self.path).ok());
    }
}

/// A folder that everybody may traverse, as Postfix must.
pub fn make_folder(path: &Path) {
    fs::create_dir_all(path).expect("a folder can be made");
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("an own folder takes a mode");
}

/// Tells the folder's keeper which group to end, by its leader.
pub fn note_pid(folder: &Path, name: &str, pid: u32) {
    fs::write(folder.join("pids").join(name), format!("{pid}\n")).expect("a pid can be noted");
}
