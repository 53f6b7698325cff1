// Addresses of this server, relative to the page's: a proxy may have put it below a path of its own. A token in the page's own address is passed on, since EventSource cannot send headers.

const token = new URLSearchParams(location.search).get("access_token");

export function endpoint(path, query = {}) {
  const search = new URLSearchParams(query);
  if (token) search.set("access_token", token);
  return search.size ? `${path}?${search}` : path;
}
