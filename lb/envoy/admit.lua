-- A request's admission to its service, which its route's metadata describes: find the service by the body where there
-- are several, count the arrival.
--
-- Counted here, because an access log knows a long answer only when it has ended. Routes write the names of counters, so
-- no caller can make up one. Objects that were fetched before a wait (a body, a call) are dead after it: fetch again.

local function choose_by_model(handle) -- returns the body's size
  if handle:headers():get(":method") ~= "POST" then return 0 end
  local body = handle:body() -- waits for the whole body
  if not body then return 0 end
  local size = body:length()
  local model = model_of(body:getBytes(0, size))
  if model and #model <= MAX_MODEL then
    handle:streamInfo():dynamicMetadata():set("tradewind", "model", model)
    handle:clearRouteCache()
  end
  return size
end

function envoy_on_request(handle)
  local size = handle:metadata():get("scan") and choose_by_model(handle) or 0
  local route = handle:metadata()
  local arrived = route:get("arrived")
  if not arrived then return end -- nobody's model, or an answer of the edge itself
  handle:stats():counter(arrived):add(1)
  local limit = route:get("max_request_bytes") -- of the service that the model chose
  if limit and size > limit then
    handle:respond({ [":status"] = "413" }, "too large")
  end
end
