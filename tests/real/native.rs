//! Native histograms against Prometheus itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use rollguard::model::reading::Reading;
use rollguard::model::signal::{Reduction, SignalKind};
use serde_json::Value;

use crate::support::bed::{Bed, plan, secs, selector, signal, target};
use crate::support::common::{KillOnDrop, free_port, real, wait_for};
use crate::support::dice::Dice;
use crate::support::native::{bed, feed, h, native, reads};
use crate::support::protobuf::{HISTOGRAM, Native, Packing, family, metric};

/// Histories compared.
const CASES: u64 = 60;
/// Seconds of each; one sample a second, the window is the later half.
const LENGTH: usize = 41;
const WINDOW: usize = 20;
/// No count of observations has a rank at a bucket's end for these.
const QUANTILES: [f64; 4] = [0.012_345, 0.245_678, 0.654_321, 0.987_654];
const SERIES: [&str; 2] = ["x", "y"];

type History = Vec<Option<Native>>;

/// What a client may do to a histogram, and some of what it should not.
fn history(dice: &mut Dice) -> History {
    let fresh = |dice: &mut Dice| Native {
        schema: dice.below(5) as i32,
        zero_threshold: [0.0, 0.0078125][dice.below(2) as usize],
        sum: 1.0,
        ..Native::default()
    };
    let mut now = fresh(dice);
    let negatives = dice.chance(300);
    (0..LENGTH)
        .map(|second| {
            let settled = second <= WINDOW || second > WINDOW + 1;
            match dice.below(12) {
                0 if settled => {
                    // Half of the time it has observed as much again, and only buckets tell.
                    let caught_up = if dice.chance(500) { now.count() } else { 0 };
                    now = Native { zero_count: caught_up, ..fresh(dice) };
                }
                1 if now.schema > 0 => coarsen(&mut now),
                2 => widen(&mut now, [0.0078125, 0.0625, 0.25][dice.below(3) as usize]),
                _ => {}
            }
            for _ in 0..=dice.below(6) {
                observe(&mut now, dice, negatives);
            }
            let edge = second == LENGTH - 1 || (second >= WINDOW && second - WINDOW <= 1);
            (edge || !dice.chance(100)).then(|| now.clone())
        })
        .collect()
}

/// Adds observations somewhere above the zero threshold, or to the zero bucket.
fn observe(now: &mut Native, dice: &mut Dice, negatives: bool) {
    let octave = dice.below(12) as i32 - 4;
    let index = (octave << now.schema) + 1 + dice.below(1 << now.schema) as i32;
    let count = 1 + dice.below(5);
    let lower = 2_f64.powf(f64::from(index - 1) / f64::from(1 << now.schema));
    if lower < now.zero_threshold || dice.chance(50) {
        now.zero_count += count;
        return;
    }
    let side = if negatives && dice.chance(500) { &mut now.negative } else { &mut now.positive };
    match side.binary_search_by_key(&index, |bucket| bucket.0) {
        Ok(at) => side[at].1 += count,
        Err(at) => side.insert(at, (index, count)),
    }
}

fn coarsen(now: &mut Native) {
    now.schema -= 1;
    for side in [&mut now.positive, &mut now.negative] {
        let mut joined: Vec<(i32, u64)> = Vec::new();
        for (index, count) in side.iter() {
            let index = (index + 1).div_euclid(2);
            match joined.last_mut() {
                Some(last) if last.0 == index => last.1 += count,
                _ => joined.push((index, *count)),
            }
        }
        *side = joined;
    }
}

fn widen(now: &mut Native, threshold: f64) {
    if threshold <= now.zero_threshold {
        return;
    }
    now.zero_threshold = threshold;
    let scale = f64::from(1 << now.schema);
    for side in [&mut now.positive, &mut now.negative] {
        side.retain(|(index, count)| {
            let inside = 2_f64.powf(f64::from(*index) / scale) <= threshold * 1.000_001;
            now.zero_count += if inside { *count } else { 0 };
            !inside
        });
    }
}

/// What the guard reads at the end.
fn judged(histories: &[History; 2]) -> Vec<Reading> {
    let quantile = |q: &f64| SignalKind::Series {
        of: selector("h"),
        reduction: Reduction::Quantile(*q),
        window: secs(WINDOW as u64),
    };
    let signals = QUANTILES.iter().map(|q| signal("s", quantile(q))).collect();
    let mut bed = Bed::new(&plan(vec![target("a", secs(1))], signals, Vec::new()));
    for second in 0..LENGTH {
        let present = SERIES.iter().zip(histories).filter_map(|(name, history)| {
            history[second].as_ref().map(|now| (*name, now.message(Packing::Packed)))
        });
        feed(&mut bed, 0, second as u64, h(&present.collect::<Vec<_>>()));
    }
    (0..QUANTILES.len()).map(|place| bed.reading(place)).collect()
}

/// One page with all samples of all histories at their times.
fn import(cases: &[[History; 2]], start: i64) -> Vec<u8> {
    let mut metrics = Vec::new();
    for (number, histories) in cases.iter().enumerate() {
        let case = number.to_string();
        for (name, history) in SERIES.iter().zip(histories) {
            for (second, now) in history.iter().enumerate() {
                let Some(now) = now else { continue };
                let labels = [("case", case.as_str()), ("s", name)];
                let millis = start + second as i64 * 1000;
                let what = (7, now.message(Packing::Apart));
                metrics.push(metric(&labels, what, Some(millis)));
            }
        }
    }
    family("h", HISTOGRAM, metrics).delimited()
}

/// Serves the page to everyone, for as long as the test runs.
fn serve(page: Vec<u8>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\nContent-Type: \
                 application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited\r\n\r\n",
                page.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &page].concat());
        }
    });
    port
}

/// Asks for an instant; values by case, `None` while there is no answer.
fn query(port: u16, query: &str, millis: i64) -> Option<Vec<(usize, f64)>> {
    let escaped: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    let seconds = millis / 1000;
    let request =
        format!("GET /api/v1/query?query={escaped}&time={seconds} HTTP/1.0\r\nHost: p\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    let rows = body["data"]["result"].as_array()?.iter().map(|row| {
        let case = row["metric"]["case"].as_str().unwrap().parse().unwrap();
        (case, row["value"][1].as_str().unwrap().parse().unwrap())
    });
    Some(rows.collect())
}

/// How a version of Prometheus finds a value within a bucket. Up to 2.x it is linear; from 3.0 on,
/// as here, the logarithm is: observations are mostly not spread evenly, and a coarser histogram of
/// the same observations then has the same quantiles.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Within {
    Linear,
    Exponential,
}

/// The bucket in which a value lies, and how far up in it.
fn place(value: f64, (schema, zero): (i32, f64), within: Within) -> (i64, f64) {
    if value.abs() <= zero {
        return (0, value);
    }
    let scale = f64::from(1 << schema);
    let up = value.abs().log2() * scale;
    // A value at a bound belongs to the bucket below, give or take what rounding does.
    let index = (up - 1e-9).ceil();
    let (lower, upper) = (((index - 1.0) / scale).exp2(), (index / scale).exp2());
    let share = match within {
        Within::Linear => (value.abs() - lower) / (upper - lower),
        Within::Exponential => up - (index - 1.0),
    };
    ((index as i64 + 1_000_000) * value.signum() as i64, share)
}

/// The resolution that the sum over the window has.
fn resolution(histories: &[History; 2]) -> (i32, f64) {
    let rows = || histories.iter().flat_map(|history| history[WINDOW..].iter().flatten());
    let zero = rows().map(|now| now.zero_threshold).fold(0.0, f64::max);
    (rows().map(|now| now.schema).min().unwrap(), zero)
}

#[test]
fn quantiles_of_native_histograms_fall_where_they_fall_in_prometheus() {
    let Some(prometheus) = real("prometheus") else { return };
    let single = |count| Some(native(&[(1, count)]));
    let single = [(0..LENGTH as u64).map(single).collect(), vec![None; LENGTH]];
    let random = (0..CASES).map(|number| {
        let mut dice = Dice(number);
        [history(&mut dice), history(&mut dice)]
    });
    let cases: Vec<[History; 2]> = [single].into_iter().chain(random).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let start = (now - LENGTH as i64 - 60) * 1000;
    let end = start + (LENGTH as i64 - 1) * 1000;

    let (served, port) = (serve(import(&cases, start)), free_port());
    let home = tempfile::tempdir().unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n\
         - {{job_name: h, static_configs: [{{targets: ['127.0.0.1:{served}']}}]}}\n"
    );
    std::fs::write(home.path().join("p.yml"), config).unwrap();
    let child = Command::new(prometheus)
        .args(["--config.file=p.yml", "--storage.tsdb.path=data"])
        .args(["--enable-feature=native-histograms", "--log.level=error"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(home.path())
        .stderr(Stdio::null())
        .spawn();
    let _child = KillOnDrop(child.unwrap());

    let ask = |q: f64| {
        let increase = format!("sum by (case) (increase(h[{WINDOW}s500ms]))");
        query(port, &format!("histogram_quantile({q}, {increase})"), end)
            .filter(|rows| rows.len() == cases.len())
    };
    let halves = wait_for(secs(60), "the histories in Prometheus", || ask(0.5));
    let first = halves.iter().find(|(case, _)| *case == 0).unwrap().1;
    // All are between 1 and 2, half of them below what is read here as the square root of 2.
    let within = if (first - 1.5).abs() < 1e-9 { Within::Linear } else { Within::Exponential };
    if within == Within::Exponential {
        assert!((first - 2_f64.sqrt()).abs() < 1e-9, "{first}");
    }
    let ours: Vec<Vec<Reading>> = cases.iter().map(judged).collect();
    for (at, q) in QUANTILES.into_iter().enumerate() {
        for (case, theirs) in ask(q).unwrap() {
            let reading = ours[case][at];
            let resolution = resolution(&cases[case]);
            let mine = place(reading.value().unwrap(), resolution, Within::Exponential);
            let other = place(theirs, resolution, within);
            let same = mine.0 == other.0 && (mine.1 - other.1).abs() < 1e-6;
            assert!(
                same,
                "case {case}, q {q}: {reading:?} at {mine:?}, Prometheus {theirs} at {other:?}, \
                 {resolution:?}"
            );
        }
    }
}

#[test]
fn half_of_what_lies_between_one_and_two_is_below_the_square_root_of_two() {
    // Prometheus 2.42 says 1.5, as if observations were spread evenly over a bucket; Prometheus 3
    // says what is said here. The test above measures which one it has found and compares with it.
    let mut bed = bed(1);
    for count in 0..11 {
        feed(&mut bed, 0, count, h(&[("x", native(&[(1, count)]).message(Packing::Apart))]));
    }
    reads(&bed, 0, 2_f64.sqrt());
    let (linear, exponential) =
        (place(1.5, (0, 0.0), Within::Linear), place(2_f64.sqrt(), (0, 0.0), Within::Exponential));
    assert_eq!(linear.0, exponential.0);
    assert!((linear.1 - exponential.1).abs() < 1e-9);
}
