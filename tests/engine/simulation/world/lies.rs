//! Pages that do not say what is so: wrong values, counters that fall, series that come and go,
//! times that go back; and pages that come late, or twice, or not at all.

use rollguard::model::scrape::{MalformedLine, Page, Scrape};
use rollguard::model::time::Timestamp;

use super::{Arrival, SECOND, World};

/// How far the time of a page may be off, in seconds.
const SPAN: u64 = 60;

impl World {
    /// What the service says of itself; now and then that is not so.
    pub(super) fn page(&mut self, latency: f64, wall: Timestamp) -> Page {
        let mut page = Page::default();
        let errors = self.service.errors;
        if self.calm || self.lies == 0 || !self.random.one_in(self.lies) {
            page.push("latency_seconds", latency, None);
            page.push("errors_total", errors, None);
            return page;
        }
        let any = *self.random.pick(&[5.0, 1e9, 0.0, -1.0, f64::NAN, f64::INFINITY]);
        let off = std::time::Duration::from_secs(self.random.below(SPAN));
        match self.random.below(10) {
            0 | 1 => {
                page.push("latency_seconds", any, None);
                page.push("errors_total", errors, None);
            }
            // It was restarted and counts anew.
            2 => {
                self.service.errors = 0.0;
                page.push("latency_seconds", latency, None);
                page.push("errors_total", 0.0, None);
            }
            3 => {
                page.push("latency_seconds", latency, None);
                page.push("errors_total", if any < 0.0 { any } else { errors + any }, None);
            }
            4 => page.push("errors_total", errors, None),
            5 => page.push("latency_seconds", latency, None),
            6 => {}
            7 | 8 => {
                let past = self.random.one_in(2);
                let time = if past { wall.before(off) } else { wall.after(off) };
                page.push("latency_seconds", latency, Some(time));
                page.push("errors_total", errors, Some(time));
            }
            _ => {
                page.push("latency_seconds", latency, None);
                page.push("errors_total", errors, None);
                let name = Some("latency_seconds".to_owned());
                let reason = "cut off".to_owned();
                page.push_malformed(MalformedLine { line: 3, name, reason });
            }
        }
        page
    }

    /// A page is on its way, for as long as it takes; it may be lost, held up, or told twice.
    pub(super) fn send(&mut self, arrives: u64, scrape: Scrape) {
        let odd = !self.calm && self.lies > 0 && self.random.one_in(self.lies);
        match self.random.below(if odd { 3 } else { 1 }) {
            0 if odd => {}
            0 => self.arrivals.push((arrives, self.life, Arrival::Scrape(scrape))),
            1 => {
                let late = arrives + self.random.below(10 * SECOND);
                self.arrivals.push((late, self.life, Arrival::Scrape(scrape)));
            }
            _ => {
                let again = arrives + self.random.below(3 * SECOND);
                self.arrivals.push((arrives, self.life, Arrival::Scrape(scrape.clone())));
                self.arrivals.push((again, self.life, Arrival::Scrape(scrape)));
            }
        }
    }
}
