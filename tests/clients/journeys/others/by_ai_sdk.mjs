// By `ai` with `@ai-sdk/openai-compatible`: `node … BASE_URL KEY AGENT`, which prints what it found as JSON.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const [baseURL, apiKey, agent] = process.argv.slice(2);
const provider = createOpenAICompatible({ name: "sutazai", baseURL, apiKey });
const [question, weather] = ["How long is the warranty of the Falcon?", "What is the weather in Ulm?"];

const pieces = [];
for await (const piece of streamText({ model: provider(agent), prompt: question, maxRetries: 0 }).textStream) pieces.push(piece);

const call = [];
const getWeather = tool({
  description: "The weather of a city.",
  inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"] }),
  execute: async (given) => {
    call.push("get_weather", given);
    return `rain in ${given.city}`;
  },
});
const { text: final } = await generateText({
  model: provider(agent), prompt: weather, tools: { get_weather: getWeather }, stopWhen: stepCountIs(2), maxRetries: 0,
});

let error;
try {
  await generateText({ model: provider("gpt-9"), prompt: question, maxRetries: 0 });
} catch (refused) {
  if (!APICallError.isInstance(refused)) throw refused;
  error = [refused.statusCode, JSON.parse(refused.responseBody).error.code];
}
console.log(JSON.stringify({ answer: pieces.join(""), call, final, error }));
