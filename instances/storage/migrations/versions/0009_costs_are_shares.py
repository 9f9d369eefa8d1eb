"""costs are shares: they were basis points"""

from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None

COSTS = "{config,transaction_costs}"


def upgrade() -> None:
    _times("/ 10000")


def downgrade() -> None:
    _times("* 10000")


def _times(factor: str) -> None:
    """Change the costs of all backtests, in what was applied and in what runs at work go by."""

    def changed(spec: str) -> str:
        return f"jsonb_set({spec}, '{COSTS}', to_jsonb(trim_scale(({spec} #>> '{COSTS}')::numeric {factor})))"

    def told(spec: str) -> str:
        return f"{spec} ->> 'type' = 'backtest' AND jsonb_typeof({spec} #> '{COSTS}') = 'number'"

    op.execute(f"UPDATE optaic.instance SET spec = {changed('spec')} WHERE {told('spec')}")
    spec = "(value -> 'spec')"
    op.execute(
        "UPDATE optaic.run SET work_order = jsonb_set(work_order, '{instances}', (SELECT jsonb_object_agg(key, "
        f"CASE WHEN {told(spec)} THEN jsonb_set(value, '{{spec}}', {changed(spec)}) ELSE value END) "
        "FROM jsonb_each(work_order -> 'instances'))) WHERE kind = 'BacktestRun' AND work_order IS NOT NULL"
    )
