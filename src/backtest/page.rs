//! A backtest as one page that needs no network: plots, every suspension with its sentence, the cost of
//! each budget.

use std::error::Error;
use std::fmt::Write;

use plotters::prelude::*;

use crate::backtest::report::{LEAST_COVERAGE, moment};
use crate::backtest::{Report, Tally, Trial, Verdict};
use crate::mail::Timestamp;

const SIZE: (u32, u32) = (900, 320);
const DAY_MS: i64 = 86_400_000;

/// Readable on light and on dark paper.
const POINT: RGBColor = RGBColor(0x3b, 0x7d, 0xd8);
const ALARM: RGBColor = RGBColor(0xd6, 0x45, 0x45);
const INK: RGBColor = RGBColor(0x80, 0x80, 0x80);

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top; }
th { border-bottom: 1px solid #808080; } td { border-bottom: 1px solid #80808040; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
pre { overflow-x: auto; padding: .8rem; background: #80808020; } svg { max-width: 100%; height: auto; }
.facts { display: flex; flex-wrap: wrap; gap: 1.5rem; margin: 1.2rem 0; } .facts b { display: block; font-size: 1.6rem; }
.warning { border-left: 4px solid #d64545; padding-left: .8rem; }
";

/// Both plots have the same axes.
macro_rules! mesh {
    ($chart:expr, $x:expr, $y:expr) => {
        $chart
            .configure_mesh()
            .disable_x_mesh()
            .axis_style(INK)
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.25))
            .label_style(("sans-serif", 13, &INK))
            .axis_desc_style(("sans-serif", 13, &INK))
            .x_desc($x)
            .y_desc($y)
            .draw()?
    };
}

type Drawn = Result<String, Box<dyn Error>>;

impl Report<'_> {
    /// The whole, for a browser.
    ///
    /// # Errors
    /// A plot that cannot be drawn.
    pub fn page(&mut self) -> Drawn {
        let Some(asked) = self.trials.first() else { return Ok(String::new()) };
        let mut page = String::new();
        let title = format!("Backtest of {}", escaped(&self.source));
        write!(
            page,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
            <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        )?;
        self.write_warning(&mut page)?;
        write_facts(asked, &mut page)?;
        writeln!(
            page,
            "<h2>How near each login came to a suspension</h2>\n<p>The highest share of a limit that suspends, login by login; above the red line it was suspended.</p>\n{}",
            nearness(&asked.tally)?
        )?;
        writeln!(
            page,
            "<h2>When</h2>\n<p>Held messages a week, and suspensions as red marks.</p>\n{}",
            time_line(&asked.tally)?
        )?;
        self.write_suspended(asked, &mut page)?;
        self.write_budgets(&mut page)?;
        writeln!(
            page,
            "<h2>The whole report</h2>\n<pre>{}</pre>\n</body></html>",
            escaped(&self.text())
        )?;
        Ok(page)
    }

    fn write_warning(&self, page: &mut String) -> std::fmt::Result {
        let share = self.coverage.as_ref().map(|coverage| coverage.share().unwrap_or(0.0));
        match share {
            Some(share) if share < LEAST_COVERAGE => writeln!(
                page,
                "<p class=\"warning\">Only {:.1} % of the accepted messages are told whole by these logs. Nothing can be concluded from what follows.</p>",
                share * 100.0
            ),
            _ => Ok(()),
        }
    }

    fn write_suspended(&mut self, trial: &Trial, page: &mut String) -> std::fmt::Result {
        writeln!(page, "<h2>Every suspension</h2>")?;
        if trial.tally.suspensions.is_empty() {
            return writeln!(page, "<p>None.</p>");
        }
        writeln!(
            page,
            "<table><tr><th>when (UTC)</th><th>login</th><th>what it did</th><th class=\"n\">gone out</th><th class=\"n\">held</th></tr>"
        )?;
        for suspended in &trial.tally.suspensions {
            let login = self.names.show("login", &suspended.login);
            writeln!(
                page,
                "<tr><td>{}</td><td>{}</td><td>{} ({})</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                moment(suspended.at),
                escaped(&login),
                escaped(&suspended.because),
                suspended.test,
                suspended.gone_out,
                suspended.held
            )?;
        }
        writeln!(
            page,
            "</table>\n<p>Gone out, held: recipients of its messages since the first one that counted.</p>"
        )
    }

    fn write_budgets(&self, page: &mut String) -> std::fmt::Result {
        writeln!(
            page,
            "<h2>What each budget would have cost in a month</h2>\n<table><tr><th>false suspensions in 1000 user-months</th><th class=\"n\">suspensions</th><th class=\"n\">held messages</th><th class=\"n\">days of a login with a hold</th></tr>"
        )?;
        let mut trials: Vec<_> = self.trials.iter().collect();
        trials.sort_unstable_by_key(|trial| trial.budget);
        for Trial { budget, tally, .. } in trials {
            let monthly = |count: u64| count as f64 / tally.months();
            writeln!(
                page,
                "<tr><td>{}</td><td class=\"n\">{:.2}</td><td class=\"n\">{:.2}</td><td class=\"n\">{:.2}</td></tr>",
                budget.as_str(),
                monthly(tally.verdicts[Verdict::Suspend as usize]),
                monthly(tally.verdicts[Verdict::Hold as usize]),
                monthly(tally.held_days)
            )?;
        }
        writeln!(page, "</table>")
    }
}

fn write_facts(trial: &Trial, page: &mut String) -> std::fmt::Result {
    let tally = &trial.tally;
    let facts = [
        ("messages", tally.messages),
        ("logins", tally.people().count() as u64),
        ("months of an active user", tally.user_months()),
        ("suspensions", tally.verdicts[Verdict::Suspend as usize]),
        ("held messages", tally.verdicts[Verdict::Hold as usize]),
    ];
    write!(page, "<div class=\"facts\">")?;
    for (what, count) in facts {
        write!(page, "<span><b>{count}</b>{what}</span>")?;
    }
    writeln!(page, "</div>")
}

/// One point a login, the nearest first.
fn nearness(tally: &Tally) -> Drawn {
    let mut shares: Vec<f64> = tally
        .people()
        .map(|(_, person)| match person.suspensions {
            0 => f64::from(person.nearest.map_or(0.0, |(_, share, _)| share)),
            _ => f64::from(person.highest).max(1.0),
        })
        .filter(|share| *share > 0.0)
        .collect();
    shares.sort_unstable_by(|one, other| other.total_cmp(one));
    let most = shares.first().copied().unwrap_or(1.0).max(1.0) * 1.3;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..shares.len().max(1) as f64, (0.01..most).log_scale())?;
        mesh!(chart, "logins, the nearest first", "share of a limit");
        let points = shares.iter().zip(0..).map(|(share, rank)| {
            let colour = if *share >= 1.0 { ALARM } else { POINT };
            Circle::new((f64::from(rank) + 0.5, share.max(0.01)), 2, colour.filled())
        });
        chart.draw_series(points)?;
        let line = [(0.0, 1.0), (shares.len().max(1) as f64, 1.0)];
        chart.draw_series(LineSeries::new(line, ALARM.stroke_width(2)))?;
        root.present()?;
    }
    Ok(svg)
}

/// Held messages week by week, and suspensions.
fn time_line(tally: &Tally) -> Drawn {
    let (first, last) = tally.span.unwrap_or_default();
    let week = |at: Timestamp| (at.unix_ms() - first.unix_ms()) / (7 * DAY_MS);
    let weeks = week(last) + 1;
    let mut held = vec![0_u32; usize::try_from(weeks).unwrap_or(1).max(1)];
    for at in &tally.held_at {
        if let Some(held) = usize::try_from(week(*at)).ok().and_then(|week| held.get_mut(week)) {
            *held += 1;
        }
    }
    let most = f64::from(held.iter().copied().max().unwrap_or(0).max(1)) * 1.15;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..weeks as f64, 0.0..most)?;
        mesh!(chart, "weeks since the first message", "held messages");
        let bars = held.iter().zip(0..).map(|(held, week)| {
            let week = f64::from(week);
            Rectangle::new([(week + 0.1, 0.0), (week + 0.9, f64::from(*held))], POINT.filled())
        });
        chart.draw_series(bars)?;
        let marks = tally.suspensions.iter().map(|suspended| {
            let week = (suspended.at.unix_ms() - first.unix_ms()) as f64 / (7 * DAY_MS) as f64;
            TriangleMarker::new((week, most * 0.97), 6, ALARM.filled())
        });
        chart.draw_series(marks)?;
        root.present()?;
    }
    Ok(svg)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(c),
        }
    }
    escaped
}
