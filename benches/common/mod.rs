//! What the benchmarks share: people and their mail, processes under load, the load itself.

pub mod folder;
pub mod gatepost;
pub mod histogram;
pub mod load;
pub mod people;
pub mod process;
pub mod script;

/// NaN when there are no figures.
pub fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => figures[count / 2],
        count => (figures[count / 2 - 1] + figures[count / 2]) / 2.0,
    }
}
