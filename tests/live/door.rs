//! The two doors of gatepost at which Postfix asks, policy delegation and milter, and a scenario
//! at both.

/// The protocol by which an SMTP service asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Policy,
    Milter,
}

/// An SMTP service.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    pub number: u16,
    pub door: Door,
}

impl Door {
    /// The command whose reply tells of a login's standing, submit right and sender. Postfix puts off
    /// its own restrictions until RCPT (smtpd_delay_reject), and tells a milter's objection at once.
    pub fn sender_refused_at(self) -> &'static str {
        match self {
            Door::Policy => "RCPT",
            Door::Milter => "MAIL",
        }
    }
}

/// Makes tests of these scenarios, functions of a `Door`: one in a module for each door.
macro_rules! at_both_doors {
    ($($scenario:ident)+) => {
        mod policy {
            $(#[test] fn $scenario() { super::$scenario($crate::door::Door::Policy) })+
        }
        mod milter {
            $(#[test] fn $scenario() { super::$scenario($crate::door::Door::Milter) })+
        }
    };
}
pub(crate) use at_both_doors;
