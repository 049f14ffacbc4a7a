"""What happens after the last step: policies, final evaluation, video, report."""

from __future__ import annotations

import json
import logging
import shutil
from functools import partial
from pathlib import Path

from roboyard.envs.factory import make_env
from roboyard.errors import RoboyardError
from roboyard.evaluation.evaluator import EvaluationResult, Evaluator
from roboyard.evaluation.stopping import StoppedError, refuse_to_go_on
from roboyard.evaluation.video import record_video
from roboyard.policies.export.finalize import complete_bundle
from roboyard.policies.loading import load_policy
from roboyard.runs.directory import RunDirectory
from roboyard.runs.resume import goal_of
from roboyard.storage import atomic
from roboyard.storage.leases.lease import LeaseLostError
from roboyard.storage.mirror.run_layout import RESULTS
from roboyard.training.checkpoints.parts.learner import POLICY_FILE
from roboyard.training.policy_bundles import add_final_evaluation, write_bundle
from roboyard.training.resources import TrainingSession
from roboyard.training.result import TrainResult

_LOG = logging.getLogger(__name__)

FINAL_EVALUATION = "final_evaluation.json"


def conclude(session: TrainingSession) -> TrainResult:
    """Write what a run leaves behind, and say how it ended.

    Raises:
        StorageError: A file cannot be written.
    """
    config, run, stop = session.config, session.run, session.stop
    state, reason = stop.state or "finished", stop.reason or "all steps are done"
    if state == "interrupted" and stop.is_too_late():
        _LOG.error("%s", stop.verdict(session.crew.checkpoint.last_step))
    else:
        write_bundle(run.policy_last, session.algorithm, config, session.crew.contract)
    evaluation = None
    if state == "finished":
        try:
            evaluation = _finish(session)
        except StoppedError:
            state, reason = "interrupted", f"{stop.notice} during the final evaluation"
    run.write_status(
        state,
        session.step,
        reason=reason,
        last_checkpoint=session.crew.checkpoint.last_step,
        notes=session.notes,
        goal=goal_of(config) if state == "finished" else "",
    )
    if evaluation is not None:
        _publish(session, evaluation)
        _report(run)  # after the status, which it tells
    _LOG.info("%s at step %d: %s.", state, session.step, reason)
    return TrainResult(
        run.path,
        session.step,
        state,
        reason,
        session.crew.best_return,
        evaluation,
        session.custody.uri,
    )


def _publish(session: TrainingSession, evaluation: EvaluationResult) -> None:
    """Publish what the run came to: the same for every machine that brings it to its end."""
    step = session.step
    weights = session.run.checkpoints / f"{step:012d}" / POLICY_FILE
    result = {
        "step": step,
        "policy_sha256": atomic.sha256(weights) if weights.exists() else None,
        "best_return": session.crew.best_return,
        "final_evaluation": evaluation.to_dict(),
    }
    session.custody.publish(f"{RESULTS}/{step:012d}.json", json.dumps(result, indent=2).encode())


def _finish(session: TrainingSession) -> EvaluationResult:
    run = session.run
    if not run.policy_best.exists():  # nothing was evaluated during training
        with atomic.replaced_file(run.policy_best) as temporary:
            shutil.copyfile(run.policy_last, temporary)
    for bundle in (run.policy_best, run.policy_last):
        refuse_to_go_on(session.stop.is_pressing, "the end of the run")
        complete_bundle(bundle, make_env=partial(make_env, session.config.env), trust_code=True)
    evaluation = _evaluate_best(session)
    if session.config.video.final:
        _record_best(session)
    return evaluation


def _evaluate_best(session: TrainingSession) -> EvaluationResult:
    settings = session.config.evaluation
    # Other episodes than those by which the best policy was chosen, or luck would count twice.
    with Evaluator(
        session.config.env,
        episodes=settings.final_episodes,
        num_envs=settings.num_envs,
        seed=settings.seed + 1,
        deterministic=settings.deterministic,
    ) as evaluator:
        result = evaluator.evaluate(
            load_policy(session.run.path), should_stop=session.stop.is_pressing
        )
    row = {
        "policy": "best",
        "step": session.step,
        "seed": settings.seed + 1,
        "deterministic": settings.deterministic,
        **result.to_dict(),
    }
    atomic.write_json(session.run.path / FINAL_EVALUATION, row)
    add_final_evaluation(session.run.policy_best, result, settings.seed + 1)
    _LOG.info("final evaluation of the best policy: mean return %.2f.", result.mean)
    return result


def _record_best(session: TrainingSession) -> Path | None:
    video = session.config.video
    path = session.run.videos / "best.mp4"
    try:
        record_video(
            session.config.env,
            load_policy(session.run.path),
            path,
            max_steps=video.max_steps,
            seed=session.config.evaluation.seed + 1,
            size=(video.width, video.height),
            should_stop=session.stop.is_pressing,
        )
    except (LeaseLostError, StoppedError):
        raise
    except RoboyardError as error:
        _LOG.warning("no final video: %s", error)
        return None
    return path


def _report(run: RunDirectory) -> None:
    from roboyard.evaluation.report import write_report

    try:
        write_report(run)
    except LeaseLostError:
        raise
    except RoboyardError as error:
        _LOG.warning("no report: %s", error)
