//! What takes long to make and is the same each time, kept below Cargo's target folder: a folder
//! by its name and by a hash of its recipe, copied for each use.

use crate::process::output;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Copies the folder `name` to `target`, which must not exist. When there is none of this recipe yet,
/// `make` makes it at the path it is told. Owners and extended attributes are kept.
pub fn copy(name: &str, recipe: &str, target: &Path, make: impl FnOnce(&Path)) {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("directories");
    fs::create_dir_all(&home).expect("a folder can be made");
    let kept = home.join(format!("{name}-{:016x}", hash(recipe)));
    // Also against other runs at the same time.
    let lock = File::create(home.join(format!("{name}.lock"))).expect("a file can be made");
    lock.lock().expect("a file can be locked");
    if !kept.exists() {
        of_other_recipes(&home, name).for_each(|old| fs::remove_dir_all(old).expect("it is ours"));
        let unfinished = home.join(format!("{name}-unfinished"));
        make(&unfinished);
        fs::rename(&unfinished, &kept).expect("a folder can be moved");
    }
    output(Command::new("cp").arg("--archive").arg(&kept).arg(target));
}

fn hash(recipe: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    hasher.finish()
}

fn of_other_recipes(home: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    let prefix = format!("{name}-");
    let entries = fs::read_dir(home).expect("an own folder can be read").flatten();
    entries.map(|entry| entry.path()).filter(move |path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
    })
}
