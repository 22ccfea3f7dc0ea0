// By the `openai` package of npm: `node … BASE_URL KEY AGENT`, which prints what it found as JSON.
import OpenAI from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const [question, weather] = ["How long is the warranty of the Falcon?", "What is the weather in Ulm?"];
const tools = [{
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
}];

const pieces = [];
const stream = await client.chat.completions.create({ model, messages: [{ role: "user", content: question }], stream: true });
for await (const chunk of stream) if (chunk.choices[0]?.delta.content) pieces.push(chunk.choices[0].delta.content);

const asked = [{ role: "user", content: weather }];
const calling = (await client.chat.completions.create({ model, messages: asked, tools })).choices[0].message;
const [call] = calling.tool_calls;
const given = JSON.parse(call.function.arguments);
const told = { role: "tool", tool_call_id: call.id, content: `rain in ${given.city}` };
const final = await client.chat.completions.create({ model, messages: [...asked, calling, told], tools });

let error;
try {
  await client.chat.completions.create({ model: "gpt-9", messages: asked });
} catch (refused) {
  error = [refused.status, refused.code];
}
console.log(JSON.stringify({ answer: pieces.join(""), call: [call.function.name, given], final: final.choices[0].message.content, error }));
