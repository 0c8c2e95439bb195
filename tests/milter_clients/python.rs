//! PyPI's miltertest, which `minimal_offer.py` beside this file drives; a program of its own, under a
//! licence of its own (GPL).

use crate::script::{Script, assert_no_fault, folder, take_from_alice};
use crate::site::Site;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where tests/run.sh has installed it.
fn packages() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let packages = target.join("python");
    assert!(
        packages.join("miltertest").is_dir(),
        "PyPI's miltertest is missing: python3 -m pip install --target {} -r tests/milter_clients/requirements.txt",
        packages.display()
    );
    packages
}

fn start(site: &Site, arguments: &[&str]) -> Script {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", packages()).env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(folder().join("minimal_offer.py")).arg(site.port.to_string()).args(arguments);
    Script::start(&mut command)
}

#[test]
fn a_client_that_offers_little_is_judged_all_the_same() {
    let limit = "max-connections = 1000";
    let keys = format!("{limit}\nat-end-of-message = \"quarantine\"\nid-header = true");
    for (arguments, changes) in [(&["held"][..], &[(limit, &*keys)][..]), (&[], &[])] {
        let site = Site::of_milter(changes);
        let gatepost = site.start();
        let mut script = start(&site, arguments);
        script.at("take it away", || take_from_alice(&site, &gatepost));
        script.passes();
        assert_no_fault(&gatepost);
    }
}

#[test]
fn a_script_that_errs_does_not_pass() {
    let site = Site::of_milter(&[]);
    let _gatepost = site.start();
    // Nothing to be held was agreed.
    let done = start(&site, &["held"]).end();
    assert_eq!(done.code, Some(1), "{}", done.printed);
    assert!(done.complained.contains("AssertionError: (0, 0)"), "{}", done.complained);
    assert!(!done.printed.contains("passed"), "{}", done.printed);
}
