// The API reference, rendered from the server's OpenAPI document: description, parameters, responses and an example.

import { apiRoot, isRefusal, request } from "./api.js";

const FIRST = "/prices/stream";

const root = apiRoot();
const $ = (id) => document.getElementById(id);

async function show() {
  const response = await request(root, "openapi.json");
  if (isRefusal(response)) {
    $("about").textContent = "The server requires an access token: open this page with ?access_token=….";
    return;
  }
  const { info, paths } = await response.json();
  $("about").textContent = `${info.description} Version ${info.version}.`;
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
  );
  routes.sort((a, b) => (b.path === FIRST) - (a.path === FIRST));
  $("routes").replaceChildren(...routes.map(section));
}

function section({ path, method, description, parameters = [], responses }) {
  const route = $("route").content.firstElementChild.cloneNode(true);
  route.querySelector("h2 code").textContent = `${method.toUpperCase()} ${path}`;
  route.querySelector("h2").after(...prose(description ?? ""));
  list(route.querySelector(".parameters"), parameters.map(parameter));
  list(route.querySelector(".answers"), Object.entries(responses).filter(noteworthy).map(answer));
  route.querySelector(".call code").textContent = call(path, parameters);
  const shown = example(responses);
  route.querySelector(".answer").hidden = !shown;
  route.querySelector(".answer code").textContent = shown;
  return route;
}

/** Paragraphs, with `code` between backquotes. */
const prose = (text) => text.split("\n\n").map((paragraph) => element("p", ...marked(paragraph)));

const marked = (text) => text.split("`").map((part, i) => (i % 2 ? element("code", part) : part));

function element(tag, ...children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}

function list(target, entries) {
  target.hidden = !entries.length;
  target.append(
    ...entries.map(([term, text]) => element("div", element("dt", term), element("dd", ...marked(text)))),
  );
}

const parameter = ({ name, description }) => [
  element("code", name),
  description,
];

/** FastAPI's default description carries no information. */
const noteworthy = ([, { description }]) => description !== "Successful Response";

const answer = ([code, { description }]) => [code, description];

/** The command to run, with an example of every required parameter. */
function call(path, parameters) {
  const live = path === FIRST ? "-N " : "";
  const needed = parameters.filter(({ in: place, required }) => required && place === "query");
  const query = new URLSearchParams(needed.map(({ name, schema }) => [name, schema.examples[0]])).toString();
  const url = new URL("./", root) + path.slice(1);
  return query ? `curl "${url}?${query}"` : `curl ${live}${url}`;
}

function example(responses) {
  const [content] = Object.values(responses["200"]?.content ?? {});
  const shown = content?.example;
  return typeof shown === "object" ? JSON.stringify(shown, null, 2) : (shown ?? "").trim();
}

show().catch(() => ($("about").textContent = "The server is not responding. Reload the page."));
