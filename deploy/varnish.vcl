vcl 4.1;

# Varnish 7 in front of btc-price-tracker: answers that never change are kept, and /prices/next is asked for once,
# however many wait. A stream takes a thread: serve many of them past it, by nginx or HAProxy. What ends TLS before it
# must speak the PROXY protocol to it (varnishd -a :8443,PROXY), or its address is taken for that of every client.
# Varnish has no limits for each of them: those of tracker apply, with TRUSTED_PROXIES.

backend default {
    .host = "tracker";
    .port = "8082";
    .connect_timeout = 2s;
    .first_byte_timeout = 75s; # more than HEARTBEAT, and than the 20 s of /prices/next
    .between_bytes_timeout = 75s;
}

sub vcl_recv {
    # Prometheus asks the instances themselves. No path of the API has an encoded character, that could hide it.
    if (req.url ~ "^/metrics" || req.url ~ "^[^?]*%") {
        return (synth(404));
    }
    # Not what the client says of itself.
    set req.http.X-Forwarded-For = client.ip;
    unset req.http.Forwarded;
    if ((req.http.Content-Length && req.http.Content-Length != "0") || req.http.Transfer-Encoding) {
        return (synth(413)); # no request of ours has a body
    }
    if (req.url ~ "^/prices/stream") {
        return (pass);
    }
    # With a token, an answer is one caller's own.
    if (req.http.Authorization || req.url ~ "[?&]access_token=") {
        return (pass);
    }
}

sub vcl_backend_response {
    # A 204 says that no price came in 20 s. All who waited get it; who asks after that, asks anew.
    if (bereq.url ~ "^/prices/next" && beresp.status == 204) {
        set beresp.ttl = 0.1s;
        set beresp.grace = 0s;
        return (deliver);
    }
    # Nothing is served that is older than its headers allow, and nothing is kept without their word.
    set beresp.grace = 0s;
    if (!beresp.http.Cache-Control || beresp.http.Cache-Control ~ "private|no-store") {
        set beresp.uncacheable = true;
        set beresp.ttl = 1s;
    }
}
