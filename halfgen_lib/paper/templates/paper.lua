-- A pandoc filter for a document that is numbered already: keeps it harmless, moves its title block
-- into the metadata, and shapes what HTML and Typst each need.

local HTML = FORMAT:match("html") ~= nil
local SHORT_TABLE, LONG_TABLE, LONG_TEXT, CODE_COLUMNS = 10, 30, 2000, 90
local LONG_PARAGRAPH = 2500 -- letters
local LINE, SMALLEST, GAP = 96, 0.72, 2.4 -- a table's line, in its letters; how far they may shrink
local LINE_PIXELS = 589 -- the text's width, 442 points
local appendix = false -- whether the walk has come to it: an unnumbered section
local SCHEMES = { http = true, https = true, mailto = true, doi = true }
local KEPT = { picture = true, number = true, width = true, height = true, role = true, ["aria-label"] = true }

local function typ(text) return pandoc.RawInline("typst", text) end
local function quoted(text) return '"' .. text:gsub('[\\"]', "\\%0"):gsub("%s+", " ") .. '"' end
local function has(element, class) return element.classes:includes(class) end

-- Nothing that runs: no event handlers, no styles, no addresses but those of the web.
local function harmless(element)
  local kept = {}
  for name, value in pairs(element.attributes) do
    if KEPT[name] then kept[#kept + 1] = { name, value } end  -- in their order
  end
  element.attr = pandoc.Attr(element.identifier, element.classes, kept)
  return element
end

local function scheme(url) return url:gsub("[%c%s]", ""):lower():match("^(%a[%w+.-]*):") end

local function link(element)
  local kind = scheme(element.target)
  if element.target == "" or kind and not SCHEMES[kind] then return element.content end
  return pandoc.Link(element.content, element.target, "", pandoc.Attr("", element.classes))
end

local function image(element)
  local kind = scheme(element.src)
  if kind == "http" or kind == "https" then
    return pandoc.Link(#element.caption > 0 and element.caption or element.src, element.src)
  elseif kind and not element.src:match("^data:image/[%w+.-]+;base64,") then
    return element.caption
  end
  for _, side in ipairs { "width", "height" } do
    if not (element.attributes[side] or "1"):match("^[%d.]+[%a%%]*$") then element.attributes[side] = nil end
  end
  local pixels = tonumber((element.attributes.width or ""):match("^([%d.]+)p?x?$"))
  if not HTML and (pixels or 0) > LINE_PIXELS then
    element.attributes.width, element.attributes.height = "100%", nil
  end
  return harmless(element)
end

local function span(element)
  if has(element, "cite") then
    return pandoc.utils.blocks_to_inlines(pandoc.read(pandoc.utils.stringify(element), "markdown").blocks)
  elseif has(element, "note") then
    return pandoc.Note { pandoc.Para(element.content) }
  elseif has(element, "number") then
    return harmless(element)
  elseif element.identifier ~= "" then -- a place to link to
    local place = HTML and pandoc.Span({}, pandoc.Attr(element.identifier)) or typ("#anchor(" .. quoted(element.identifier) .. ")")
    return pandoc.Inlines { place } .. element.content
  end
  return element.content
end

local function exact(element)
  element.text = element.text:gsub("\u{e000}", "'"):gsub("\u{e001}", '"'):gsub("\u{e002}", "-"):gsub("\u{e003}", ".")
  return element
end

local function bare_table(element)
  element.attr = pandoc.Attr(element.identifier)
  local function clean(rows)
    for _, row in ipairs(rows) do
      row.attr = pandoc.Attr()
      for _, cell in ipairs(row.cells) do cell.attr = pandoc.Attr() end
    end
  end
  clean(element.head.rows)
  clean(element.foot.rows)
  for _, body in ipairs(element.bodies) do clean(body.body) clean(body.head) end
  return element
end

local function title_block(doc)
  doc.blocks = doc.blocks:walk { Div = function(div)
    local name = has(div, "meta") and div.attributes.part
    if not name then return nil end
    if #div.content == 0 and name ~= "title" then return {} end
    local value = name == "abstract" and div.content or pandoc.utils.blocks_to_inlines(div.content)
    if name == "author" then
      doc.meta.author = doc.meta.author or pandoc.List {}
      doc.meta.author:insert(pandoc.MetaInlines(value))
    else
      doc.meta[name] = value
    end
    return {}
  end }
  doc.meta.pagetitle = pandoc.utils.stringify(doc.meta.title)
  local lang = pandoc.utils.stringify(doc.meta.lang)
  if not HTML then doc.meta.lang, doc.meta.region = lang:match("^%a+"), lang:match("%-(%u%u)$") end
  local function name(author) return quoted(pandoc.utils.stringify(author)) end
  doc.meta["author-strings"] = typ(table.concat(pandoc.List(doc.meta.author or {}):map(name), ", "))
end

-- A word's width in letters; capitals and the scripts of three bytes a letter are wider.
local function letters(word)
  local _, capitals = word:gsub("%u", "")
  return (#word + (utf8.len(word) or #word)) / 2 + 0.4 * capitals
end

-- The longest word of each column, and the number of rows; nil where cells span columns.
local function measure(element)
  local words, rows = {}, 0
  for i = 1, #element.colspecs do words[i] = 1 end
  local spans = false
  local function look(list)
    for _, row in ipairs(list) do
      rows = rows + 1
      for i, cell in ipairs(row.cells) do
        spans = spans or cell.col_span > 1 or cell.row_span > 1
        for word in pandoc.utils.stringify(cell.contents):gmatch("%S+") do
          words[i] = math.max(words[i] or 1, letters(word))
        end
      end
    end
  end
  look(element.head.rows)
  for _, body in ipairs(element.bodies) do look(body.head) look(body.body) end
  return words, rows, spans
end

-- Which columns stand together on a line; the first, which names the rows, begins each line.
local function lines_of(words)
  local lines, line, width = {}, { 1 }, words[1] + GAP
  for i = 2, #words do
    if width + words[i] + GAP > LINE / SMALLEST and #line > 1 then
      table.insert(lines, line)
      line, width = { 1 }, words[1] + GAP
    end
    table.insert(line, i)
    width = width + words[i] + GAP
  end
  table.insert(lines, line)
  return lines
end

local function columns(element, line)
  local part = element:clone()
  local function pick(list) return pandoc.List(line):map(function(i) return list[i] end) end
  local function rows(list)
    return list:map(function(row)
      row.cells = pick(row.cells)
      return row
    end)
  end
  part.colspecs = pick(part.colspecs)
  part.head.rows = rows(part.head.rows)
  part.bodies = pandoc.List(part.bodies):map(function(body)
    body.head, body.body = rows(body.head), rows(body.body)
    return body
  end)
  return part
end

local function typst_table(element)
  local words, rows, spans = measure(element)
  local long = rows > LONG_TABLE or #pandoc.utils.stringify(pandoc.Blocks { element }) > LONG_TEXT
  local lines, out = spans and { {} } or lines_of(words), pandoc.Blocks {}
  local room = 0
  for _, width in ipairs(words) do room = room + width + GAP end
  if #lines > 1 then room = LINE / SMALLEST end
  local size = math.min(1, LINE / room)
  for i, line in ipairs(lines) do
    local part = #lines > 1 and columns(element, line) or element
    if i > 1 then part.caption, part.identifier = { long = {} }, "" end
    local floats = #element.caption.long > 0 and rows > SHORT_TABLE and not (long or appendix or #lines > 1)
    local open = string.format("#fitted(%.2f, floats: %s, long: %s)[", size, floats, long)
    out:extend { pandoc.RawBlock("typst", open), part, pandoc.RawBlock("typst", "]") }
  end
  return out, false
end

local function html_table(element)
  local caption, id, wordy = element.caption, element.identifier, false
  element.caption, element.identifier = { long = {} }, ""
  element:walk { Plain = function(cell) wordy = wordy or #pandoc.utils.stringify(cell) > 48 end }
  local box = pandoc.Div({ element }, pandoc.Attr("", wordy and { "scroll", "wordy" } or { "scroll" }, { tabindex = "0" }))
  return #caption.long > 0 and pandoc.Figure({ box }, caption, pandoc.Attr(id, { "tabular" })) or box, false
end

local function is_page(block) return block.t == "Div" and has(block, "page") end

-- A gallery is its pages in HTML, and the one picture that stands for them elsewhere.
local function figure(element)
  local pages = element.content:filter(is_page)
  local gallery = #pages > 0 and HTML
  element.content = gallery and pages or element.content:filter(function(b) return not is_page(b) end)
  element.attr = pandoc.Attr(element.identifier, gallery and { "picture", "gallery" } or { "picture" })
  if HTML or #element.caption.long > 0 then return element, false end
  return pandoc.Blocks { pandoc.RawBlock("typst", "#align(center)[") } .. element.content .. { pandoc.RawBlock("typst", "]") }, false
end

local function equation(div)
  local number, math = div.attributes.number, div.content[1].content[1]
  if HTML then
    local tag = pandoc.Span("(" .. number .. ")", pandoc.Attr("", { "number" }))
    return pandoc.Div({ pandoc.Plain { pandoc.Span({ math }, pandoc.Attr("", { "math-scroll" })), tag } }, pandoc.Attr(div.identifier, { "equation" })), false
  end
  local open = string.format('#numbered-equation("%s", "%s")[', number, div.identifier)
  return pandoc.Plain { typ(open), math, typ("]") }, false
end

local function wrapped(open, div, close)
  return pandoc.Blocks { pandoc.RawBlock("html", open) } .. div.content .. { pandoc.RawBlock("html", close) }
end

local DIVS = {}
DIVS.equation = equation
function DIVS.code(div) return HTML and wrapped('<details class="code"><summary>Code</summary>', div, "</details>") or {} end
function DIVS.details(div) return HTML and wrapped("<details>", div, "</details>") or div.content end
function DIVS.summary(div)
  return HTML and wrapped("<summary>", div, "</summary>") or pandoc.Para { pandoc.Strong(pandoc.utils.blocks_to_inlines(div.content)) }
end
function DIVS.page(div) return harmless(div) end
function DIVS.strip(div) return harmless(div) end

local function div(element)
  if element.identifier == "refs" then
    if not HTML then element.content = { pandoc.RawBlock("typst", "#show: references-style") } end
    return element
  end
  for name, shape in pairs(DIVS) do
    if has(element, name) then return shape(element) end
  end
  return element.content
end

local function header(element)
  appendix = appendix or element.level == 1 and has(element, "unnumbered")
  if HTML then
    element.level = element.level + 1
  elseif element.content[1] and element.content[1].t == "Span" and has(element.content[1], "number") then
    element.content:insert(2, typ("#h(0.7em)"))
  end
  if HTML and element.content[1].t == "Span" then element.content:insert(2, pandoc.Space()) end
  return harmless(element)
end

local function code_block(block)
  block.attr = pandoc.Attr("", block.classes)
  if HTML then return block end
  if has(block, "transcript") then return {} end
  local lines = {}
  for line in (block.text .. "\n"):gmatch("(.-)\n") do
    while (utf8.len(line) or 0) > CODE_COLUMNS do
      local cut = utf8.offset(line, CODE_COLUMNS + 1)
      table.insert(lines, line:sub(1, cut - 1))
      line = line:sub(cut)
    end
    table.insert(lines, line)
  end
  block.text = table.concat(lines, "\n")
  if has(block, "output") then block.classes = {} end
  return block
end

-- pandoc 3.9 writes \! and \; as -1em and 0em for Typst, and does not know two long names.
local function typst_math(element)
  local text = element.text:gsub("\\thinspace", "\\,"):gsub("\\negthinspace", "")
  element.text = text:gsub("\\\\", "\0"):gsub("\\!", ""):gsub("\\;", "\\:"):gsub("%z", "\\\\")
  return element
end

-- A paragraph stands on one page, so that no figure cuts a sentence, unless it is as long as one;
-- what ends in an equation stays with it.
local function whole_paragraphs(blocks)
  local follows = false -- another paragraph: what floats away between the two does not count
  for i, block in ipairs(blocks) do
    local next, indent = blocks[i + 1], follows
    local rows = block.t == "Table" and #block.bodies > 0 and #block.bodies[1].body or 0
    local floats = block.t == "Figure" or (rows > SHORT_TABLE and rows <= LONG_TABLE)
    local folded = block.t == "Div" and has(block, "code") -- in the HTML alone
    follows = block.t == "Para" or ((floats or folded) and follows)
    local leads = next and next.t == "Div" and has(next, "equation")
    if block.t == "Para" and #pandoc.utils.stringify(block) < LONG_PARAGRAPH then
      local how = string.format("indent: %s, leads: %s", indent, leads or false)
      block.content:insert(1, typ("#whole(" .. how .. ")["))
      block.content:insert(typ("]"))
    end
  end
  return blocks
end

function Pandoc(doc)
  title_block(doc)
  doc = doc:walk {
    Str = exact, Code = exact, Link = link, Image = image, Span = span, Table = bare_table,
    CodeBlock = code_block,
    Math = not HTML and typst_math or nil,
  }
  if not HTML then doc.blocks = whole_paragraphs(doc.blocks) end
  return doc:walk { Div = div }:walk {
    traverse = "topdown", Header = header, Figure = figure, Table = HTML and html_table or typst_table,
  }
end
