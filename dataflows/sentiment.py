"""The main job: `python -m bytewax.run dataflows.sentiment`.

Bytewax imports this module to run it, so the import opens models, Kafka and Redis; what is wrong
ends it with one line.
"""

from __future__ import annotations

import logging

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream

from dataflows.alerting import Silences, alert_record, alerts
from dataflows.alerts import Alert
from dataflows.clients import check_redis
from dataflows.contract import Rejection
from dataflows.dead_letters import dead_letter, place_alone, without_value
from dataflows.drifting import DriftSink, drift
from dataflows.events import Event
from dataflows.garbage import calm_collector
from dataflows.kafka_sink import KafkaSink, prediction_record, short_prediction
from dataflows.orders import Orders
from dataflows.redis_sink import AlertSink, FeedSink, PaneSink, RejectionSink
from dataflows.rejections import RejectionLimits
from dataflows.scoring import Score, accepted, rejected
from dataflows.settings import Settings, get_settings
from dataflows.shadow import open_shadow
from dataflows.source import KafkaSource
from dataflows.stopping import STOPPING
from dataflows.telemetry import TELEMETRY
from dataflows.topics import ensure_topics
from dataflows.updates import updates
from dataflows.worker import any_restored
from models.errors import SentiStreamError
from models.live import LiveScorer


def build(settings: Settings) -> Dataflow:
    """Return the flow: read, score, sum by source and minute, write."""
    kafka, redis = settings.kafka, settings.redis
    live = LiveScorer.from_folder(
        settings.bundles,
        settings.detector,
        settings.limits,
        settings.threads,
        keep_crops=redis.thumbnails,
        text=settings.text,
    )
    TELEMETRY.told.append(live.fields)
    shadow = open_shadow(live.current(), settings.bundles, settings.shadow)
    if shadow is not None:
        TELEMETRY.told.append(shadow.fields)
    check_redis(redis)
    ensure_topics(settings)
    flow = Dataflow("sentiment")
    arrivals = op.input("read", flow, KafkaSource(settings))
    limits = RejectionLimits(settings.rejections, any_restored)
    score = Score(live.current, settings.batch, limits, shadow)
    scored = op.flat_map_batch("score", arrivals, score)
    events = op.flat_map_batch("accepted", scored, accepted)
    rejections = op.flat_map_batch("rejected", scored, rejected)

    shorter = (without_value, place_alone)
    dead_letters = KafkaSink[Rejection](kafka, kafka.dlq_topic, dead_letter, shorter)
    op.output("dead-letters", rejections, dead_letters)
    op.output("rejections", rejections, RejectionSink(redis))
    topic = kafka.predictions_topic
    predictions = KafkaSink[Event](kafka, topic, prediction_record, (short_prediction,))
    op.output("predictions", events, predictions)
    op.output("feed", events, FeedSink(redis))

    orders = op.input("orders", flow, Orders(settings))
    absolute = updates(events, orders, settings)
    op.output("panes-to-redis", absolute, PaneSink(redis))
    told: list[Stream[Alert]] = []
    if settings.drift.enabled:
        hours, drifted = drift(events, orders, settings)
        op.output("drift-to-redis", hours, DriftSink(redis, settings.drift))
        told.append(drifted)
    if settings.alerts.enabled:
        silences = op.input("silences", flow, Silences(settings.alerts))
        told.append(alerts(absolute, silences, settings.alerts))
        both = op.merge("all-alerts", *told)
        op.output("alerts-to-redis", both, AlertSink(redis))
        op.output(
            "alerts-to-kafka", both, KafkaSink[Alert](kafka, kafka.alerts_topic, alert_record)
        )
    calm_collector()
    return flow


logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
STOPPING.install()
try:
    flow = build(get_settings())
except SentiStreamError as error:
    raise SystemExit(f"sentistream: {error}") from None
