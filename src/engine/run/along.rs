//! Hooks that go along: `on_begin`, `on_stage`, `on_trip` and `on_commit`. Each is run once, beside
//! the critical path, and nothing depends on what becomes of it.

use crate::model::deployment::Milestone;
use crate::model::entry::{NoticeEvent, Refusal};
use crate::model::hook::Placeholder;
use crate::model::index::HookIx;

use super::order::{HookContext, Occasion};
use crate::engine::context::Cx;
use crate::engine::effect::Effect;
use crate::engine::view::evidence;

/// Runs the hook that goes along with a milestone of the current deployment, where there is one.
pub(crate) fn run(cx: &mut Cx<'_>, on: Milestone) {
    let plan = cx.plan().clone();
    let Some(HookIx(place)) = plan.deployment.along[on as usize] else { return };
    let Some(hook) = plan.hooks.get(place).filter(|_| !cx.log.is_halted()) else { return };
    let has_good = cx.current().is_some_and(|current| current.good.is_some());
    if hook.names(Placeholder::Good) && !has_good {
        // The version to go back to would be an empty word in it.
        let failure = Some(Refusal::NoGoodVersion.to_string());
        return cx.record(NoticeEvent::Notified { hook: hook.name.clone(), failure });
    }
    cx.record(NoticeEvent::HookBegun { hook: hook.name.clone(), on });
    let Some(current) = cx.current() else { return };
    let occasion = match on {
        Milestone::Begin => Occasion::OnBegin,
        Milestone::Stage => Occasion::OnStage,
        Milestone::Trip => Occasion::OnTrip,
        Milestone::Commit => Occasion::OnCommit,
    };
    let (trigger, signals) = (current.trigger(), evidence::of_signals(cx.evaluator));
    let context = HookContext::of(current, occasion, cx.now.wall).triggered_by(trigger);
    let context = HookContext { signals: &signals, ..context };
    let notice = context.notice(hook);
    cx.push(Effect::GoAlong(Box::new(notice)));
}
