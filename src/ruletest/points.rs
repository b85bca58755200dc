//! The values of one series, one for each scrape, as the parts that they were written in: a day of
//! values takes no more memory than the text did.

use crate::model::scrape::FailureClass;

/// What a series has at one scrape of its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point {
    /// A sample; may be NaN or infinite.
    Sample(f64),
    /// The page does not have the series.
    Absent,
    /// The scrape of the whole target failed.
    Failed(FailureClass),
}

/// Some points in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointRun {
    /// The first point.
    pub first: Point,
    /// What each sample adds to the one before it.
    pub step: f64,
    /// How many points there are.
    pub count: u64,
}

/// The points of a series in the order of its target's scrapes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// The parts, and how many points there are before each.
    parts: Vec<(u64, PointRun)>,
    count: u64,
}

impl Points {
    /// Adds points at the end.
    pub fn push(&mut self, part: PointRun) {
        self.parts.push((self.count, part));
        self.count = self.count.saturating_add(part.count);
    }

    /// How many points there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The point at a scrape, from 0. Behind the last one the page does not have the series.
    pub fn at(&self, scrape: u64) -> Point {
        let behind = self.parts.partition_point(|(before, _)| *before <= scrape);
        let Some((before, part)) = behind.checked_sub(1).map(|ix| self.parts[ix]) else {
            return Point::Absent;
        };
        match part.first {
            _ if scrape - before >= part.count => Point::Absent,
            // Computed, not added up: the error does not grow with the number of points.
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 points")]
            Point::Sample(first) => Point::Sample(first + (scrape - before) as f64 * part.step),
            point @ (Point::Absent | Point::Failed(_)) => point,
        }
    }

    /// The scrapes that fail, as first, count and class.
    pub fn failures(&self) -> impl Iterator<Item = (u64, u64, FailureClass)> {
        self.parts.iter().filter_map(|(before, part)| match part.first {
            Point::Failed(class) => Some((*before, part.count, class)),
            Point::Sample(_) | Point::Absent => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_found_in_its_part_and_nothing_is_behind_the_last() {
        let mut values = Points::default();
        assert_eq!(values.at(0), Point::Absent);
        values.push(PointRun { first: Point::Sample(1.0), step: 0.5, count: 3 });
        values.push(PointRun { first: Point::Failed(FailureClass::Dns), step: 0.0, count: 2 });
        values.push(PointRun { first: Point::Sample(f64::INFINITY), step: 0.0, count: 1 });
        let points: Vec<_> = (0..8).map(|scrape| values.at(scrape)).collect();
        let failed = Point::Failed(FailureClass::Dns);
        let sample = Point::Sample;
        assert_eq!(
            points,
            [
                sample(1.0),
                sample(1.5),
                sample(2.0),
                failed,
                failed,
                sample(f64::INFINITY),
                Point::Absent,
                Point::Absent
            ]
        );
        assert_eq!(values.count(), 6);
        assert_eq!(values.failures().collect::<Vec<_>>(), [(3, 2, FailureClass::Dns)]);
    }
}
