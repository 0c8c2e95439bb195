//! `[replies]`

use crate::decision::{Reason, Replies, Template};
use crate::settings::{Reader, Table};

pub(super) fn read_replies(reader: &mut Reader, root: &mut Table<'_, '_>) -> Replies {
    let mut table = root.table(reader, "replies");
    let mut replies = Replies::default();
    if let Some(url) = table.text(reader, "help-url") {
        if url.value.bytes().all(|b| b.is_ascii_graphic()) && url.value.contains("://") {
            replies.help_url = Some(url.value.into());
        } else {
            reader.fault(
                url.at,
                &url.key,
                format!("\"{}\" is refused: expected a URL of printable ASCII, such as \"https://help.example.org/mail\"", url.value),
            );
        }
    }
    for reason in Reason::ALL {
        let Some(item) = table.text_or(reader, reason.as_str(), reason.default_reply()) else {
            continue;
        };
        match Template::parse(&item.value) {
            Ok(template) => {
                if !item.value.is_ascii() {
                    reader.warn(
                        item.at,
                        &item.key,
                        "letters outside ASCII are sent as \"?\": an SMTP reply may not carry them",
                    );
                }
                if reason.is_passing() && !template.is_temporary() {
                    reader.warn(
                        item.at,
                        &item.key,
                        "a 5xx reply for a trouble that passes: mail that could be sent later is given up",
                    );
                }
                replies.set(reason, template);
            }
            Err(fault) => {
                reader.fault(
                    item.at,
                    &item.key,
                    format!("{fault}; such as \"{}\"", reason.default_reply()),
                );
            }
        }
    }
    table.finish(reader);
    replies
}
