"""Events: changes that automations can react to, sent to Prefect."""

OVERDUE = "optaic.flow.overdue"
