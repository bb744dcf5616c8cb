"""The main job: `python -m bytewax.run dataflows.sentiment`.

Bytewax imports this module to run it, so the import opens models, Kafka and Redis; what is wrong
ends it with one line.
"""

from __future__ import annotations

import logging

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from dataflows import steps
from dataflows.alerting import Silences, alert_record, alerts
from dataflows.alerts import Alert
from dataflows.clients import check_redis, ensure_topics
from dataflows.contract import Rejection
from dataflows.dead_letters import dead_letter, without_value
from dataflows.garbage import calm_collector
from dataflows.kafka_sink import KafkaSink, prediction_record
from dataflows.orders import Orders
from dataflows.redis_sink import AlertSink, FeedSink, PaneSink, RejectionSink
from dataflows.rejections import RejectionLimits
from dataflows.settings import Settings, get_settings
from dataflows.source import KafkaSource
from dataflows.stopping import STOPPING
from dataflows.updates import updates
from models.errors import SentiStreamError
from models.scorer import Scorer


def build(settings: Settings) -> Dataflow:
    """Return the flow: read, score, sum by source and minute, write."""
    kafka, redis = settings.kafka, settings.redis
    scorer = Scorer.from_folder(
        settings.bundles,
        settings.detector,
        settings.limits,
        settings.threads,
        keep_crops=redis.thumbnails,
    )
    check_redis(redis)
    ensure_topics(settings)
    flow = Dataflow("sentiment")
    arrivals = op.input("read", flow, KafkaSource(settings))
    score = steps.Score(scorer, settings.batch, RejectionLimits(settings.rejections))
    scored = op.flat_map_batch("score", arrivals, score)
    events = op.flat_map_batch("accepted", scored, steps.accepted)
    rejections = op.flat_map_batch("rejected", scored, steps.rejected)

    dead_letters = KafkaSink[Rejection](kafka, kafka.dlq_topic, dead_letter, without_value)
    op.output("dead-letters", rejections, dead_letters)
    op.output("rejections", rejections, RejectionSink(redis))
    predictions = KafkaSink[steps.Event](kafka, kafka.predictions_topic, prediction_record)
    op.output("predictions", events, predictions)
    op.output("feed", events, FeedSink(redis))

    orders = op.input("orders", flow, Orders(settings))
    absolute = updates(events, orders, settings)
    op.output("panes-to-redis", absolute, PaneSink(redis, scorer.versions))
    if settings.alerts.enabled:
        silences = op.input("silences", flow, Silences(settings.alerts))
        told = alerts(absolute, silences, settings.alerts)
        op.output("alerts-to-redis", told, AlertSink(redis))
        op.output(
            "alerts-to-kafka", told, KafkaSink[Alert](kafka, kafka.alerts_topic, alert_record)
        )
    calm_collector()
    return flow


logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
STOPPING.install()
try:
    flow = build(get_settings())
except SentiStreamError as error:
    raise SystemExit(f"sentistream: {error}") from None
