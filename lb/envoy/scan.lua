-- Several services behind one address: the top-level "model" of a JSON body decides which one answers (see admit.lua).
--
-- A JSON filter costs about 12 ns per byte of every prompt; this walks the top-level keys only, jumping from quote to
-- quote with plain finds, and skips nested values by depth. A nested "model" or one inside a message is never taken;
-- of duplicate keys the last one wins, as in the engines. Malformed JSON is left to the engine, or ends as 404.
local byte, char, find, floor, gsub, sub = string.byte, string.char, string.find, math.floor, string.gsub, string.sub

local MAX_MODEL = 256 -- bytes; a longer name is nobody's, and would only fill the access log
local QUOTE, BACKSLASH, OPEN_BRACE, OPEN_BRACKET = 34, 92, 123, 91
local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function utf8(code)
  if code < 0x80 then return char(code) end
  if code < 0x800 then return char(0xC0 + floor(code / 64), 0x80 + code % 64) end
  if code < 0x10000 then
    return char(0xE0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
  end
  return char(0xF0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64, 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
end

-- Some clients write "org\/model" or \u escapes, which name the same model.
local function unescape(text)
  if not find(text, "\\", 1, true) then return text end
  local pair = "\\u([dD][89abAB]%x%x)\\u([dD][c-fC-F]%x%x)"
  text = gsub(text, pair, function(high, low)
    return utf8(0x10000 + (tonumber(high, 16) - 0xD800) * 1024 + tonumber(low, 16) - 0xDC00)
  end)
  text = gsub(text, "\\u(%x%x%x%x)", function(hex)
    local code = tonumber(hex, 16)
    if code == BACKSLASH then return "\\\\" end -- stays escaped for the next pass
    return utf8(code)
  end)
  return (gsub(text, "\\(.)", ESCAPES))
end

local function string_end(text, from) -- position of the quote that closes a string whose content starts at `from`
  while true do
    local quote = find(text, '"', from, true)
    if not quote then return nil end
    local k = quote - 1
    while k >= from and byte(text, k) == BACKSLASH do k = k - 1 end
    if (quote - 1 - k) % 2 == 0 then return quote end
    from = quote + 1
  end
end

local function container_end(text, at) -- position of the bracket that closes the one at `at`
  local depth = 0
  while true do
    local p = find(text, '["%[%]{}]', at)
    if not p then return nil end
    local c = byte(text, p)
    if c == QUOTE then
      local close = string_end(text, p + 1)
      if not close then return nil end
      at = close + 1
    else
      depth = depth + ((c == OPEN_BRACE or c == OPEN_BRACKET) and 1 or -1)
      if depth == 0 then return p end
      at = p + 1
    end
  end
end

local function model_of(text)
  local model
  local p = find(text, "%S")
  if not p or byte(text, p) ~= OPEN_BRACE then return nil end
  p = p + 1
  while true do
    p = find(text, "[^%s,]", p)
    if not p or byte(text, p) ~= QUOTE then return model end
    local close = string_end(text, p + 1)
    if not close then return model end
    local is_model = unescape(sub(text, p + 1, close - 1)) == "model"
    p = find(text, "[^%s:]", close + 1)
    if not p then return model end
    local c, last = byte(text, p), nil
    if c == QUOTE then
      last = string_end(text, p + 1)
    elseif c == OPEN_BRACE or c == OPEN_BRACKET then
      last = container_end(text, p)
    else
      local after = find(text, "[,}%s]", p)
      last = after and after - 1
    end
    if not last then return model end
    if is_model then model = c == QUOTE and unescape(sub(text, p + 1, last - 1)) or nil end
    p = last + 1
  end
end
