-- A request's admission to its service, which its route's metadata describes: find the service by the body where there
-- are several, count the arrival, and let it wait for the agent's word while the service comes back from zero.
--
-- Counted here, because an access log knows a long answer only when it has ended. Routes write the names of counters, so
-- no caller can make up one. Objects that were fetched before a wait (a body, a call) are dead after it: fetch again.

local function choose_by_model(handle) -- returns the route that follows, and the body's size
  if handle:headers():get(":method") ~= "POST" then return handle:metadata(), 0 end
  local body = handle:body() -- waits for the whole body
  if not body then return handle:metadata(), 0 end
  local size = body:length()
  local model = model_of(body:getBytes(0, size))
  if model and #model <= MAX_MODEL then
    handle:streamInfo():dynamicMetadata():set("tradewind", "model", model)
    handle:clearRouteCache()
  end
  return handle:metadata(), size
end

local function wait_for_service(handle, path, limit_ms)
  local call = { [":method"] = "GET", [":path"] = path, [":authority"] = "agent" }
  local answer, text = handle:httpCall("~agent", call, nil, limit_ms)
  if answer[":status"] == "200" then return end
  local after = answer["retry-after"] -- only the agent says one; for a dead agent the route's is added
  if not after then text = "The service is starting; try again." end
  handle:respond({ [":status"] = "503", ["retry-after"] = after }, text)
end

function envoy_on_request(handle)
  local route, size = handle:metadata(), nil
  if route:get("scan") then
    route, size = choose_by_model(handle)
  end
  local arrived = route:get("arrived")
  if not arrived then return end -- nobody's model, or an answer of the edge itself
  handle:stats():counter(arrived):add(1)
  if size and size > route:get("max_request_bytes") then -- of the service that the model chose
    handle:respond({ [":status"] = "413" }, "too large")
    return
  end
  local hold = route:get("hold")
  if hold then wait_for_service(handle, hold, route:get("hold_ms")) end
end
