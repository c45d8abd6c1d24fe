"use strict";
// Elements. What was captured comes from strangers: it becomes text of a node here, and nothing else anywhere.

const SVG = "http://www.w3.org/2000/svg";

// Attributes that run or fetch nothing.
const HARMLESS = /^(class|id|for|type|title|lang|datetime|role|tabindex|hidden|open|value|placeholder|autocomplete|spellcheck|maxlength|scope|colspan|d|x|y|x1|x2|y1|y2|rx|width|height|viewBox|preserveAspectRatio|aria-[a-z]+|data-[a-z]+)$/;

function attributed(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (!HARMLESS.test(name)) throw new Error("no such attribute here: " + name);
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  // Strings that are appended become text.
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const element = (name, attributes, ...children) => attributed(document.createElement(name), attributes, children);
const drawing = (name, attributes, ...children) => attributed(document.createElementNS(SVG, name), attributes, children);

// Captured text, whose direction does not leak into what stands around it.
const captured = (text) => (text === null || text === undefined || text === "" ? null : element("bdi", { class: "captured" }, String(text)));

function button(label, act, attributes) {
  const node = element("button", { type: "button", ...attributes }, label);
  node.addEventListener("click", act);
  return node;
}

function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1000) return (value / 1000).toFixed(value >= 10000 ? 1 : 2) + " s";
  return (value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2)) + " ms";
}

function share(part) {
  if (!part) return "0 %";
  return part < 0.001 ? "<0.1 %" : (part * 100).toFixed(part < 0.1 ? 1 : 0) + " %";
}

// A time as the tools write it, short where it is of the last answer's day.
function moment(text, day) {
  if (!text) return null;
  const shown = day && text.startsWith(day) ? text.slice(11, 19) : text.slice(0, 19).replace("T", " ");
  return element("time", { datetime: text, title: text }, shown);
}

// The rows of a table, each with its columns' names.
function rowsOf(table) {
  const columns = (table && table.columns) || [];
  return ((table && table.rows) || []).map((row) => new Proxy(row, { get: (cells, name) => cells[columns.indexOf(name)] }));
}
