// The README's journey by the types that `openapi-typescript` makes of the merged document, with `openapi-fetch`.
// `node journey.js ADDRESS EMAIL`. It prints what it found.
import createClient from "openapi-fetch";
import type { paths } from "./sutazai.js";

const [address, email] = process.argv.slice(2) as [string, string];
const password = "correct horse battery staple";
const question = "How hot should the water be for green tea?";
const api = createClient<paths>({ baseUrl: address });

function good<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(`refused: ${JSON.stringify(answer.error)}`);
  return answer.data;
}

good(await api.POST("/api/v1/auth/register", { body: { email, password } }));
const token = good(
  await api.POST("/api/v1/auth/token", {
    body: { grant_type: "password", username: email, password },
    bodySerializer: (form) => new URLSearchParams(form as Record<string, string>),
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
  }),
);
const scopes = ["agents", "chat", "vectors", "tasks"].flatMap((service) => [`${service}:read`, `${service}:write`]);
const { key } = good(
  await api.POST("/api/v1/auth/api-keys", {
    body: { name: "mine", scopes },
    headers: { Authorization: `Bearer ${token.access_token}` },
  }),
);
const program = createClient<paths>({ baseUrl: address, headers: { "X-API-Key": key } });

const documents = [
  { id: "green", text: "Green tea is steeped at 80 degrees for two minutes." },
  { id: "black", text: "Black tea is steeped with boiling water for four minutes." },
];
const submitted = { kind: "vectors.ingest", input: { collection: "tea", documents } };
let task = good(await program.POST("/api/v1/tasks/submit", { body: submitted }));
while (task.status === "queued" || task.status === "running") {
  await new Promise((resolve) => setTimeout(resolve, 200));
  task = good(await program.GET("/api/v1/tasks/status/{task_id}", { params: { path: { task_id: task.id } } }));
}
if (task.status !== "succeeded") throw new Error(JSON.stringify(task));

const search = { collection: "tea", query: question, k: 1 };
const [found] = good(await program.POST("/api/v1/vectors/search", { body: search })).results;
const agent = { name: "Tea master", instructions: "Answer in one sentence.", knowledge: ["tea"] };
const made = good(await program.POST("/api/v1/agents/create", { body: agent }));
const read = await program.GET("/api/v1/agents/{id}", { params: { path: { id: made.id } } });
const message = { agent_id: made.id, content: question };
const reply = good(await program.POST("/api/v1/chat/message", { body: message })) as {
  message: { content: string; citations: unknown[] };
};

const tag = read.response.headers.get("etag")?.slice(0, 3);
const title = (word: boolean) => (word ? "True" : "False");
console.log(found?.id, tag, title(reply.message.content !== ""), title(reply.message.citations.length > 0));
