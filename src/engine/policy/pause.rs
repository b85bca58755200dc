//! Pauses: a person switches automatic rollbacks off for a while. A pause always ends, is on
//! record with who and why, and is told of at its beginning and its end; whatever fires in it is
//! refused and told of, and acts when the pause is over if it still fires. It stops no person.

use std::time::Duration;

use crate::model::entry::{Caller, PauseEvent};
use crate::model::time::{Instant, Moment, format_duration};

use crate::engine::command::{Accepted, MAX_PAUSE, MIN_PAUSE, Rejection, check_reason};
use crate::engine::durable::state::{Durable, Pause};
use crate::engine::{
    context::Cx, durable::deployment::Phase, durable::log::Log, notify::incident,
    run::order::Occasion,
};

/// The end of the pause, on the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    until: Option<Instant>,
}

impl Pauses {
    /// Begins a pause, or gives the one that there is another end.
    pub(crate) fn begin(
        &mut self,
        cx: &mut Cx<'_>,
        span: Duration,
        reason: String,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        check_reason(&reason)?;
        if !(MIN_PAUSE..=MAX_PAUSE).contains(&span) {
            let (least, most) = (format_duration(MIN_PAUSE), format_duration(MAX_PAUSE));
            return Err(Rejection::because(format!("a pause lasts {least} to {most}")));
        }
        if let Some(current) = cx.current() {
            // A rollback that has begun cannot be held, and a request for approval must not time
            // out into one that is refused.
            if current.phase == Phase::RollingBack {
                return Err(Rejection::RollingBack(current.id.clone()));
            }
            if current.ask.is_some() {
                return Err(Rejection::Asked(current.id.clone()));
            }
        }
        let until = cx.now.wall.after(span);
        cx.record(PauseEvent::Paused { until, reason: reason.clone(), by });
        self.until = Some(cx.now.at.after(span));
        let span = format_duration(span);
        incident::tell(cx, None, &format!("paused for {span}: {reason}"), Occasion::Paused);
        let message = format!("nothing is rolled back automatically for {span}, until {until}");
        Ok(Accepted { deployment: cx.current().map(|current| current.id.clone()), message })
    }

    /// Ends a pause before its time. What fires already may be acted on at once.
    pub(crate) fn resume(
        &mut self,
        cx: &mut Cx<'_>,
        reason: Option<String>,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        reason.as_deref().map_or(Ok(()), check_reason)?;
        if cx.state().pause.is_none() {
            return Err(Rejection::because("automatic rollbacks are not paused"));
        }
        self.end(cx, reason, by);
        let message = "automatic rollbacks are on again".to_owned();
        Ok(Accepted { deployment: cx.current().map(|current| current.id.clone()), message })
    }

    /// Ends a pause whose time is over.
    pub(crate) fn end_due(&mut self, cx: &mut Cx<'_>) {
        if self.deadline(cx.log).is_some_and(|end| end <= cx.now.at) {
            self.end(cx, None, Caller::Guard);
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>, reason: Option<String>, by: Caller) {
        let why = reason.clone().unwrap_or_else(|| "the pause is over".to_owned());
        self.until = None;
        cx.record(PauseEvent::Resumed { reason, by });
        incident::tell(cx, None, &why, Occasion::Resumed);
    }

    /// When the pause is over.
    pub(crate) fn deadline(&self, log: &Log) -> Option<Instant> {
        self.until.filter(|_| log.state().pause.is_some() && !log.is_halted())
    }

    /// Goes on with a pause that the journal left open. However clocks have stepped, no pause gets
    /// longer than it was.
    pub(crate) fn restart(&mut self, now: Moment, state: &Durable) {
        self.until = state.pause.as_ref().map(|pause| {
            let whole = pause.until.since(pause.since);
            now.at.after(pause.until.since(now.wall).min(whole))
        });
    }

    /// The pause, as status shows it.
    pub(crate) fn status(&self, now: Moment, state: &Durable) -> Option<Pause> {
        let pause = state.pause.clone()?;
        let end = self.until.map(|end| now.wall.after(end.since(now.at)));
        Some(Pause { until: end.unwrap_or(pause.until), ..pause })
    }
}
