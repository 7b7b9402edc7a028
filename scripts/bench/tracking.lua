-- One workload of a tracking server, for wrk: $WORKLOAD on the runs that seed.py named in $SEED. Says how it went in a line
-- for people, and adds one of $SIDE to $RESULTS: "SIDE rate WORKLOAD REQUESTS_A_SECOND P50_MS P99_MS NOT_ANSWERED_WELL", and
-- "SIDE points COUNT" when points were logged.
local seed = io.open(os.getenv("SEED")):read("*a")
local experiment = seed:match('"experiment": "?([^",]+)"?')
local runs = {}
for id in seed:match('"runs": %[(.-)%]'):gmatch('"([^"]+)"') do
  runs[#runs + 1] = id
end
local workload = os.getenv("WORKLOAD")
local headers = { ["Content-Type"] = "application/json" }
if (os.getenv("TOKEN") or "") ~= "" then
  headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
end
-- Steps and times go up from here.
local sent = 0
-- Points of one request.
local points_each = { ["log-metric"] = 1, ["log-batch"] = 100 }

-- Each thread of wrk, and each round, has a state of its own: without this all would send the same points.
local round = tonumber(os.getenv("ROUND"))
local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end
function init(_)
  math.randomseed(10 * round + number)
end
-- The next step, of the two threads' one the odd and one the even.
local function step()
  return round * 1000000 + sent * 2 + number
end

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
      any_run(), math.random(), 1800000000000 + step(), step()))
  end,
  -- 100 points of 10 metrics
  ["log-batch"] = function()
    local points = {}
    for i = 1, 100 do
      points[i] = string.format('{"key":"b%d","value":%f,"timestamp":%d,"step":%d}', i % 10, math.random(),
        1800000000000 + step() * 100 + i, step() * 100 + i)
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
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  local rate, p50, p99 = summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000
  io.write(string.format("%-11s %.0f requests/s, p50 %.1f ms, p99 %.1f ms, %d refused, %d failed\n", workload, rate, p50, p99,
    errors.status, failed))
  local results = io.open(os.getenv("RESULTS"), "a")
  results:write(string.format("%s rate %s %.3f %.3f %.3f %d\n", os.getenv("SIDE"), workload, rate, p50, p99,
    errors.status + failed))
  if points_each[workload] then
    results:write(string.format("%s points %d\n", os.getenv("SIDE"), points_each[workload] * (summary.requests - errors.status)))
  end
  results:close()
end
