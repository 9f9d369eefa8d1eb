"""handles in views, and what is particular to a type in its own table"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

FIELDS = {
    'backtest_instance': ('assets', 'signals', 'optimizer', 'benchmark', 'date_range', 'config'),
    'experiment_instance': ('date_range', 'universe'),
    'model_instance': ('target', 'validation', 'promotion', 'monitoring', 'retrain_on_drift', 'champion_max_age', 'train', 'infer', 'monitor'),
    'portfolio_optimizer_instance': ('settings',),
}
VIEWS = {
    'accessor': """
SELECT
  instance.id,
  instance.name,
  instance.project,
  instance.spec ->> 'description' AS description,
  instance.kept_as,
  instance.former_names,
  instance.created_at,
  instance.updated_at,
  accessor_instance.definition,
  accessor_instance.definition_version,
  accessor_instance.config
FROM optaic.instance
JOIN optaic.accessor_instance ON accessor_instance.id = instance.id
WHERE instance.type = 'accessor'
""",
    'backtest': """
SELECT
  instance.id,
  instance.name,
  instance.project,
  instance.spec ->> 'description' AS description,
  instance.kept_as,
  instance.former_names,
  instance.created_at,
  instance.updated_at,
  backtest_instance.assets,
  backtest_instance.signals,
  backtest_instance.optimizer,
  backtest_instance.benchmark,
  backtest_instance.date_range,
  backtest_instance.config,
  backtest_instance.last_data_date,
  backtest_instance.row_count,
  backtest_instance.data_version,
  backtest_flow.prefect_deployment_id AS prefect_deployment_id,
  backtest_run.recorded_at AS last_backtest_at,
  backtest_run.prefect_run_id AS last_backtest_run_id,
  backtest_flow.settings -> 'schedule' AS schedule,
  (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object(
    'instance', upstream.name, 'resource_id', upstream.id, 'flow', read.kind, 'role', edge.role,
    'required', edge.required, 'max_age', edge.max_age)), '[]')
  FROM optaic.flow AS own
  JOIN optaic.edge ON edge.flow_id = own.id
  JOIN optaic.flow AS read ON read.id = edge.upstream_flow_id
  JOIN optaic.instance AS upstream ON upstream.id = read.instance_id
  WHERE own.instance_id = instance.id AND upstream.id <> instance.id) AS upstream_refs
FROM optaic.instance
JOIN optaic.backtest_instance ON backtest_instance.id = instance.id
LEFT JOIN optaic.flow AS backtest_flow ON backtest_flow.instance_id = instance.id AND backtest_flow.kind = 'backtest'
LEFT JOIN LATERAL (
  SELECT run.recorded_at, run.prefect_run_id FROM optaic.run
  WHERE run.flow_id = backtest_flow.id AND run.recorded_at IS NOT NULL
  ORDER BY run.recorded_at DESC LIMIT 1
) AS backtest_run ON true
WHERE instance.type = 'backtest'
""",
    'dataset': """
SELECT
  instance.id,
  instance.name,
  instance.project,
  instance.spec ->> 'description' AS description,
  instance.kept_as,
  instance.former_names,
  instance.created_at,
  instance.updated_at,
  instance.spec ->> 'pipeline_instance' AS pipeline_instance,
  instance.spec ->> 'store_instance' AS store_instance,
  instance.spec ->> 'accessor_instance' AS accessor_instance,
  dataset_instance.pipeline_instance_id,
  dataset_instance.store_instance_id,
  dataset_instance.accessor_instance_id,
  dataset_instance.last_data_date,
  dataset_instance.row_count,
  dataset_instance.data_version,
  refresh_flow.prefect_deployment_id AS prefect_deployment_id,
  refresh_run.recorded_at AS last_refresh_at,
  refresh_run.prefect_run_id AS last_refresh_run_id,
  refresh_flow.settings -> 'schedule' AS schedule,
  (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object(
    'instance', upstream.name, 'resource_id', upstream.id, 'flow', read.kind, 'role', edge.role,
    'required', edge.required, 'max_age', edge.max_age)), '[]')
  FROM optaic.flow AS own
  JOIN optaic.edge ON edge.flow_id = own.id
  JOIN optaic.flow AS read ON read.id = edge.upstream_flow_id
  JOIN optaic.instance AS upstream ON upstream.id = read.instance_id
  WHERE own.instance_id = instance.id AND upstream.id <> instance.id) AS upstream_refs
FROM optaic.instance
JOIN optaic.dataset_instance ON dataset_instance.id = instance.id
LEFT JOIN optaic.flow AS refresh_flow ON refresh_flow.instance_id = instance.id AND refresh_flow.kind = 'refresh'
LEFT JOIN LATERAL (
  SELECT run.recorded_at, run.prefect_run_id FROM optaic.run
  WHERE run.flow_id = refresh_flow.id AND run.recorded_at IS NOT NULL
  ORDER BY run.recorded_at DESC LIMIT 1
) AS refresh_run ON true
WHERE instance.type = 'dataset'
""",
    'experiment': """
SELECT
  instance.id,
  instance.name,
  instance.project,
  instance.spec ->> 'description' AS description,
  instance.kept_as,
  instance.former_names,
  instance.created_at,
  instance.updated_at,
  experiment_instance.date_range,
  experiment_instance.universe,
  experiment_instance.definition,
  experiment_instance.definition_version,
  experiment_instance.config,
  preview_flow.prefect_deployment_id AS prefect_deployment_id,
  preview_run.recorded_at AS last_preview_at,
  preview_run.prefect_run_id AS last_preview_run_id,
  preview_flow.settings -> 'schedule' AS schedule,
  (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object(
    'instance', upstream.name, 'resource_id', upstream.id, 'flow', read.kind, 'role', edge.role,
    'required', edge.required, 'max_age', edge.max_age)), '[]')
  FROM optaic.flow AS own
  JOIN optaic.edge ON edge.flow_id = own.id
  JOIN optaic.flow AS read ON read.id = edge.upstream_flow_id
  JOIN optaic.instance AS upstream ON upstream.id = read.instance_id
  WHERE own.instance_id = instance.id AND upstream.id <> instance.id) AS upstream_refs
FROM optaic.instance
JOIN optaic.experiment_instance ON experiment_instance.id = instance.id
LEFT JOIN optaic.flow AS preview_flow ON preview_flow.instance_id = instance.id AND preview_flow.kind = 'preview'
LEFT JOIN LATERAL (
  SELECT run.recorded_at, run.prefect_run_id FROM optaic.run
  WHERE run.flow_id = preview_flow.id AND run.recorded_at IS NOT NULL
  ORDER BY run.recorded_at DESC LIMIT 1
) AS preview_run ON true
WHERE instance.type = 'experiment'
""",
    'model': """
SELECT
  instance.id,
  instance.name,
  instance.project,
  instance.spec ->> 'description' AS description,
  instance.kept_as,
  instance.former_names,
  instance.created_at,
  instance.updated_at,
  model_instance.target,
  model_instance.validation,
  model_instance.promotion,
  model_instance.monitoring,
  model_instance.retrain_on_drift,
  model_instance.champion_max_age,
  model_instance.train,
  model_instance.infer,
  model_instance.monitor,
  model_instance.definition,
  model_instance.definition_version,
  model_instance.config,
  model_instance.mlflow_experiment_id,
  model_instance.mlflow_registered_model_name,
  model_instance.evidently_project_id,
  model_instance.last_data_date,
  model_instance.row_count,
  model_instance.data_version,
  train_flow.prefect_deployment_id AS prefect_training_deployment_id,
  train_run.recorded_at AS last_training_at,
  train_run.prefect_run_id AS last_training_run_id,
  infer_flow.prefect_deployment_id AS prefect_inference_deployment_id,
  infer_run.recorded_at AS last_inference_at,
  infer_run.prefect_run_id AS last_inference_run_id,
  monitor_flow.prefect_deployment_id AS prefect_monitoring_deployment_id,
  monitor_run.recorded_at AS last_monitoring_at,
  monitor_run.prefect_run_id AS last_monitoring_run_id,
  jsonb_build_object('train', train_flow.settings -> 'schedule', 'infer', infer_flow.settings -> 'schedule', 'monitor', monitor_flow.settings -> 'schedule') AS schedule,
  (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object(
    'instance', upstream.name, 'resource_id', upstream.id, 'flow', read.kind, 'role', edge.role,
    'required', edge.required, 'max_age', edge.max_age)), '[]')
  FROM optaic.flow AS own
  JOIN optaic.edge ON edge.flow_id = own.id
  JOIN optaic.flow AS read ON read.id = edge.upstream_flow_id
  JOIN optaic.instance AS upstream ON upstream.id = read.instance_id
  WHERE own.instance_id = instance.id AND upstream.id <> instance.id) AS upstream_refs
FROM optaic.instance
JOIN optaic.model_instance ON model_instance.id = instance.id
LEFT JOIN optaic.flow AS train_flow ON train_flow.instance_id = instance.id AND train_flow.kind = 'train'
LEFT JOIN LATERAL (
  SELECT run.recorded_at, run.prefect_run_id FROM optaic.run
  WHERE run.flow_id = train_flow.id AND run.recorded_at IS NOT NULL
  ORDER BY run.recorded_at DESC LIMIT 1
) AS train_run ON true
LEFT JOIN optaic.flow AS infer_flow ON infer_flow.instance_id = instance.id AND infer_flow.kind = 'infer'
LEFT JOIN LATERAL (
  SELECT run.recorded_at, run.prefect_run_id FROM optaic.run
  WHERE run.flow_id = infer_flow.id AND run.recorded_at IS NOT NULL
  ORDER BY run.recorded_at DESC LIMIT 1
) AS infer_run ON true
LEFT JOIN optaic.flow AS monitor_flow ON monitor_flow.instance_id = instance.id AND monitor_flow.kind = 'monitor'
LEFT JOIN LATERAL (
  SELECT run.recorded_at, run.prefect_run_id FROM optaic.run
  WHERE run.flow_id = monitor_flow.id AND run.recorded_at IS NOT NULL
  ORDER BY run.recorded_at DESC LIMIT 1
) AS monitor_run ON true
WHERE instance.type = 'model'
""",
    'pipeline': """
SELECT
  instance.id,
  instance.name,
  instance.project,
  instance.spec ->> 'description' AS description,
  instance.kept_as,
  instance.former_names,
  instance.created_at,
  instance.updated_at,
  pipeline_instance.definition,
  pipeline_instance.definition_version,
  pipeline_instance.config
FROM optaic.instance
JOIN optaic.pipeline_instance ON pipeline_instance.id = instance.id
WHERE instance.type = 'pipeline'
""",
    'portfolio_optimizer': """
SELECT
  instance.id,
  instance.name,
  instance.project,
  instance.spec ->> 'description' AS description,
  instance.kept_as,
  instance.former_names,
  instance.created_at,
  instance.updated_at,
  portfolio_optimizer_instance.settings,
  portfolio_optimizer_instance.definition,
  portfolio_optimizer_instance.definition_version,
  portfolio_optimizer_instance.config,
  portfolio_optimizer_instance.last_data_date,
  portfolio_optimizer_instance.row_count,
  portfolio_optimizer_instance.data_version,
  optimize_flow.prefect_deployment_id AS prefect_deployment_id,
  optimize_run.recorded_at AS last_optimization_at,
  optimize_run.prefect_run_id AS last_optimization_run_id,
  optimize_flow.settings -> 'schedule' AS schedule,
  (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object(
    'instance', upstream.name, 'resource_id', upstream.id, 'flow', read.kind, 'role', edge.role,
    'required', edge.required, 'max_age', edge.max_age)), '[]')
  FROM optaic.flow AS own
  JOIN optaic.edge ON edge.flow_id = own.id
  JOIN optaic.flow AS read ON read.id = edge.upstream_flow_id
  JOIN optaic.instance AS upstream ON upstream.id = read.instance_id
  WHERE own.instance_id = instance.id AND upstream.id <> instance.id) AS upstream_refs
FROM optaic.instance
JOIN optaic.portfolio_optimizer_instance ON portfolio_optimizer_instance.id = instance.id
LEFT JOIN optaic.flow AS optimize_flow ON optimize_flow.instance_id = instance.id AND optimize_flow.kind = 'optimize'
LEFT JOIN LATERAL (
  SELECT run.recorded_at, run.prefect_run_id FROM optaic.run
  WHERE run.flow_id = optimize_flow.id AND run.recorded_at IS NOT NULL
  ORDER BY run.recorded_at DESC LIMIT 1
) AS optimize_run ON true
WHERE instance.type = 'portfolio_optimizer'
""",
    'signal': """
SELECT
  instance.id,
  instance.name,
  instance.project,
  instance.spec ->> 'description' AS description,
  instance.kept_as,
  instance.former_names,
  instance.created_at,
  instance.updated_at,
  instance.spec ->> 'pipeline_instance' AS pipeline_instance,
  instance.spec ->> 'store_instance' AS store_instance,
  instance.spec ->> 'accessor_instance' AS accessor_instance,
  signal_instance.signal_spec,
  dataset_instance.pipeline_instance_id,
  dataset_instance.store_instance_id,
  dataset_instance.accessor_instance_id,
  dataset_instance.last_data_date,
  dataset_instance.row_count,
  dataset_instance.data_version,
  refresh_flow.prefect_deployment_id AS prefect_deployment_id,
  refresh_run.recorded_at AS last_refresh_at,
  refresh_run.prefect_run_id AS last_refresh_run_id,
  refresh_flow.settings -> 'schedule' AS schedule,
  (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object(
    'instance', upstream.name, 'resource_id', upstream.id, 'flow', read.kind, 'role', edge.role,
    'required', edge.required, 'max_age', edge.max_age)), '[]')
  FROM optaic.flow AS own
  JOIN optaic.edge ON edge.flow_id = own.id
  JOIN optaic.flow AS read ON read.id = edge.upstream_flow_id
  JOIN optaic.instance AS upstream ON upstream.id = read.instance_id
  WHERE own.instance_id = instance.id AND upstream.id <> instance.id) AS upstream_refs
FROM optaic.instance
JOIN optaic.signal_instance ON signal_instance.id = instance.id
JOIN optaic.dataset_instance ON dataset_instance.id = instance.id
LEFT JOIN optaic.flow AS refresh_flow ON refresh_flow.instance_id = instance.id AND refresh_flow.kind = 'refresh'
LEFT JOIN LATERAL (
  SELECT run.recorded_at, run.prefect_run_id FROM optaic.run
  WHERE run.flow_id = refresh_flow.id AND run.recorded_at IS NOT NULL
  ORDER BY run.recorded_at DESC LIMIT 1
) AS refresh_run ON true
WHERE instance.type = 'signal'
""",
    'store': """
SELECT
  instance.id,
  instance.name,
  instance.project,
  instance.spec ->> 'description' AS description,
  instance.kept_as,
  instance.former_names,
  instance.created_at,
  instance.updated_at,
  store_instance.definition,
  store_instance.definition_version,
  store_instance.config
FROM optaic.instance
JOIN optaic.store_instance ON store_instance.id = instance.id
WHERE instance.type = 'store'
""",
}


def upgrade() -> None:
    for table, names in FIELDS.items():
        for name in names:
            op.add_column(table, sa.Column(name, postgresql.JSONB(none_as_null=True), nullable=True), schema='optaic')
        values = ", ".join(f"{name} = NULLIF(spec -> '{name}', 'null')" for name in names)
        op.execute(f"UPDATE optaic.{table} SET {values} FROM optaic.instance WHERE instance.id = {table}.id")
    for name, select in VIEWS.items():
        op.execute(f"CREATE VIEW optaic.{name} AS {select}")


def downgrade() -> None:
    for name in VIEWS:
        op.execute(f"DROP VIEW optaic.{name}")
    for table, names in FIELDS.items():
        for name in names:
            op.drop_column(table, name, schema='optaic')
