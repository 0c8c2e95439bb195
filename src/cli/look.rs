//! `gatepost check --online` at mail servers: whether their queue helpers answer, and whether Postfix would hold.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::small_runtime;
use crate::config::{Config, QueueSource};
use crate::decision::Hold;
use crate::directory::Examined;
use crate::queue::{Helper, HelperFault};

/// Of every `[[queue]]`.
pub(super) fn at_queues(config: &Config) -> Vec<Examined> {
    let holds =
        |queue: &QueueSource| {
            config.startup.listen.iter().any(|listen| {
                listen.listener.mta == queue.mta && listen.listener.hold == Hold::Queue
            })
        };
    let mut examined = Vec::new();
    for queue in &config.startup.queues {
        examined.push(at_helper(queue));
        if let Some(folder) = queue.config_directory.as_ref().filter(|_| holds(queue)) {
            examined.extend(at_postfix(&queue.mta, folder));
        }
    }
    examined
}

/// One that refuses whoever checks listens all the same, since it hears the daemon's user alone.
fn at_helper(queue: &QueueSource) -> Examined {
    let name = format!("queue of {}", queue.mta);
    let helper = Helper::new(&queue.helper);
    // No id at all: it is refused, and nothing is done.
    let asked = small_runtime().map(|runtime| runtime.block_on(helper.probe()));
    match asked {
        Ok(Ok(())) => Examined::good(&name, "its queue helper answers"),
        Ok(Err(HelperFault::Refused(why))) => {
            Examined::good(&name, format!("its queue helper answers, to others: {why}"))
        }
        Ok(Err(fault)) => Examined::fault(&name, fault.to_string()),
        Err(fault) => Examined::fault(&name, fault.to_string()),
    }
}

/// Before a content filter by proxy Postfix has no queue file yet, ignores HOLD, and lets the mail pass (smtpd_check.c).
fn at_postfix(mta: &str, folder: &Path) -> Vec<Examined> {
    let name = format!("Postfix of {mta}");
    match proxied(folder) {
        Ok(services) if services.is_empty() => Vec::new(),
        Ok(services) => vec![Examined::warning(
            &name,
            format!(
                "smtpd_proxy_filter is set ({}): there Postfix ignores HOLD and lets the mail pass; choose hold = \"defer\" for listeners that these services ask, or charge behind the filter",
                services.join(", ")
            ),
        )],
        Err(why) => vec![Examined::warning(
            &name,
            format!("whether smtpd_proxy_filter is set is not known: {why}"),
        )],
    }
}

/// Where the filter is set: `main.cf`, or services of master.cf.
fn proxied(folder: &Path) -> Result<Vec<String>, String> {
    let mut places = Vec::new();
    let main = postconf(folder, &["-h", "smtpd_proxy_filter"])?;
    if !main.trim().is_empty() {
        places.push("main.cf".to_string());
    }
    // service/type/parameter = value
    let services = postconf(folder, &["-P", "*/inet/smtpd_proxy_filter"])?;
    places.extend(services.lines().filter_map(|line| {
        let (service, value) = line.split_once('=')?;
        let service = service.trim().trim_end_matches("/smtpd_proxy_filter");
        (!value.trim().is_empty()).then(|| service.to_string())
    }));
    Ok(places)
}

fn postconf(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let known = ["/usr/sbin/postconf", "/usr/local/sbin/postconf"].map(PathBuf::from);
    let program = known.iter().find(|path| path.exists()).ok_or("postconf is not here")?;
    let mut command = Command::new(program);
    let done = command.arg("-c").arg(folder).args(arguments).output();
    let done = done.map_err(|fault| format!("{}: {fault}", program.display()))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(said.lines().last().unwrap_or("postconf failed").to_string());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
