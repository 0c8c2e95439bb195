//! `[suspension]`

/// How suspensions run their course.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long one stands, in milliseconds. `None`: until it is released.
    pub lasts_ms: Option<i64>,
    /// A repeat lasts longer.
    pub escalates: bool,
    /// The end of one is the beginning of a probation.
    pub has_probation: bool,
    /// Too many at once stop all further ones.
    pub has_breaker: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lasts_ms: None, escalates: true, has_probation: true, has_breaker: true }
    }
}

impl Settings {
    /// Each one by itself: past mail is judged so, since nobody was there to release or to reset.
    pub const fn each_alone(lasts_ms: Option<i64>) -> Self {
        Self { lasts_ms, escalates: false, has_probation: false, has_breaker: false }
    }
}
