"""The annotated types that tasks' routes ask for."""

from typing import Annotated

from services.tasks.history.service import HistoryService
from services.tasks.replays.service import ReplayService
from services.tasks.schedules.service import ScheduleService
from services.tasks.service import TaskService
from services.tasks.streams.service import StreamService
from services.tasks.webhooks.deliveries import DeliveryService
from services.tasks.webhooks.service import WebhookService
from shared.door import held, requires
from shared.identity import Caller

Reader = Annotated[Caller, requires("tasks:read")]
Writer = Annotated[Caller, requires("tasks:write")]
Batcher = Annotated[Caller, requires("tasks:write", limit="bulk")]
Tasks = Annotated[TaskService, held("tasks")]
Schedules = Annotated[ScheduleService, held("schedules")]
Replays = Annotated[ReplayService, held("replays")]
Streams = Annotated[StreamService, held("streams")]
History = Annotated[HistoryService, held("history")]
Webhooks = Annotated[WebhookService, held("webhooks")]
Deliveries = Annotated[DeliveryService, held("deliveries")]
