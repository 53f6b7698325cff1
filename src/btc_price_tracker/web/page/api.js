// Requests to the API. The root of its URLs may have an access token in its fragment, which is sent to no server.

const PARAMETER = "access_token";
const KEY = "btc-price-tracker access_token";

/** The URL below which the API is, for this page: with the token that its own URL brought, now or before a reload. */
export function apiRoot() {
  const root = new URL("./", document.baseURI);
  const token = broughtToken() ?? keptToken();
  if (token) root.hash = new URLSearchParams({ [PARAMETER]: token });
  return root.href;
}

/** The URL of a path for what can't send headers: with the token, if there is one. */
export function addressOf(root, path) {
  const url = new URL(path, root);
  const token = tokenOf(root);
  if (token) url.searchParams.set(PARAMETER, token);
  return url.href;
}

/** Requests a path with the token, if there is one. */
export function request(root, path, options = {}) {
  const token = tokenOf(root);
  return fetch(new URL(path, root), { ...options, headers: token ? { Authorization: `Bearer ${token}` } : {} });
}

/** Whether a response says that the token is missing, not valid, or not for this. */
export const isRefusal = ({ status }) => status === 401 || status === 403;

const tokenOf = (root) => new URLSearchParams(new URL(root).hash.slice(1)).get(PARAMETER);

/** The token in the page's URL, which is cleared of it if the tab can keep it for a reload. */
function broughtToken() {
  const url = new URL(location.href);
  const token = tokenOf(url) ?? url.searchParams.get(PARAMETER);
  if (token === null) return null;
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    return token; // the browser forbids it, as some do if cookies are blocked
  }
  url.hash = "";
  url.searchParams.delete(PARAMETER);
  history.replaceState(history.state, "", url);
  return token;
}

function keptToken() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
