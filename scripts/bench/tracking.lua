-- One workload of a tracking server, for wrk: $WORKLOAD on the runs that seed.py named in $SEED.
local seed = io.open(os.getenv("SEED")):read("*a")
local experiment = seed:match('"experiment": "?([^",]+)"?')
local runs = {}
for id in seed:match('"runs": %[(.-)%]'):gmatch('"([^"]+)"') do
  runs[#runs + 1] = id
end
local workload = os.getenv("WORKLOAD")
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. os.getenv("TOKEN") }
local now = os.time() * 1000
local sent = 0

local function post(path, body)
  return wrk.format("POST", "/api/2.0/mlflow/" .. path, headers, body)
end
local function get(path)
  return wrk.format("GET", "/api/2.0/mlflow/" .. path, headers)
end
local function any_run()
  return runs[math.random(#runs)]
end

local requests = {
  ["log-metric"] = function()
    return post("runs/log-metric", string.format('{"run_id":"%s","key":"live","value":%f,"timestamp":%d,"step":%d}',
      any_run(), math.random(), now + sent, sent))
  end,
  -- 100 points of 10 metrics
  ["log-batch"] = function()
    local points = {}
    for i = 1, 100 do
      points[i] = string.format('{"key":"b%d","value":%f,"timestamp":%d,"step":%d}', i % 10, math.random(),
        now + sent * 100 + i, sent * 100 + i)
    end
    return post("runs/log-batch", string.format('{"run_id":"%s","metrics":[%s]}', any_run(), table.concat(points, ",")))
  end,
  ["search"] = function()
    return post("runs/search", string.format(
      '{"experiment_ids":["%s"],"filter":"metrics.m1 > 0.5 and params.p1 = \'%d\'","order_by":["metrics.m2 DESC"],"max_results":100}',
      experiment, math.random(0, 9)))
  end,
  -- all 10,000 points of one metric
  ["history"] = function()
    return get("metrics/get-history?metric_key=loss&max_results=25000&run_id=" .. runs[1])
  end,
  ["get-run"] = function()
    return get("runs/get?run_id=" .. any_run())
  end,
}

function request()
  sent = sent + 1
  return requests[workload]()
end

local refused = false
function response(status, _, body)
  if status ~= 200 and not refused then
    refused = true
    io.stderr:write(string.format("%s: status %d %s\n", workload, status, body:sub(1, 200)))
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format("%-11s %.0f requests/s, p50 %.1f ms, p99 %.1f ms, %d refused, %d failed\n", workload,
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
