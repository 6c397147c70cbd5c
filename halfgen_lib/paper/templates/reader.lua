-- A pandoc reader: the parts of a notebook (JSON, written by paper/notebook.py) become one document.
-- Every cell and caption is parsed by itself, as in Jupyter, and leaves here harmless: no raw HTML, no
-- event handlers, no scripts. Labels are moved onto the heading, equation, figure or table they name.

local MARKDOWN = "markdown-markdown_in_html_blocks-native_divs-native_spans-implicit_figures"
  .. "-yaml_metadata_block-pandoc_title_block-raw_attribute-fenced_divs-bracketed_spans"
  .. "-subscript-superscript-example_lists-fancy_lists-blank_before_header"
  .. "-blank_before_blockquote+lists_without_preceding_blankline+autolink_bare_uris"
local OPTIONS = pandoc.ReaderOptions { columns = 10000 }
local SCHEMES = { http = true, https = true, mailto = true, doi = true }
local parse

local function scheme(url)
  local bare = url:gsub("[%c%s]", ""):lower()
  return bare:match("^([%a][%w+.-]*):"), bare
end

local function plain_attr(keep_classes)
  return function(element)
    element.attr = pandoc.Attr(element.identifier, keep_classes and element.classes or {}, {})
    return element
  end
end

local function image(map)
  return function(element)
    local kept = {}
    for _, name in ipairs { "width", "height" } do
      local size = element.attributes[name]
      if size and size:match("^[%d.]+[%a%%]*$") then kept[name] = size end
    end
    local source = map[element.src] or element.src
    local kind, bare = scheme(source)
    if kind == "http" or kind == "https" then
      return pandoc.Link(#element.caption > 0 and element.caption or source, source)
    elseif kind and not bare:match("^data:image/[%w+.-]+;base64,") then
      return element.caption
    end
    return pandoc.Image(element.caption, source, "", pandoc.Attr(element.identifier, {}, kept))
  end
end

local function link(element)
  local kind = scheme(element.target)
  if kind and not SCHEMES[kind] then return element.content end
  return pandoc.Link(element.content, element.target, "", pandoc.Attr(element.identifier))
end

-- "<!-- #eq-mse -->" or "{#eq-mse}" names what stands before it; a Span carries it this far.
local function label_of(text)
  return text:match("^<!%-%-%s*#([%w_:.-]+)%s*%-%->$") or text:match("^{#([%w_:.-]+)}$")
end

local function marker(id) return pandoc.Span({}, pandoc.Attr("", { "label" }, { to = id })) end

-- pandoc's HTML reader would fetch what a frame points to.
local function without_frames(text) return (text:gsub("<(%s*[iI][fF][rR][aA][mM][eE])", "<no-%1")) end

local function raw_inline(element)
  local text = element.text
  if element.format:match("tex") then
    return text:match("^\\begin") and pandoc.Math("DisplayMath", text) or pandoc.Str(text)
  elseif element.format ~= "html" then
    return {}
  end
  local id = label_of(text)
  if id then return marker(id) end
  if text:match("^<!%-%-%s*unnumbered%s*%-%->$") then return marker("unnumbered") end
  if text:lower():match("^<br") then return pandoc.LineBreak() end
  if text:lower():match("^<img") then
    return pandoc.utils.blocks_to_inlines(pandoc.read(text, "html").blocks)
  end
  return {}
end

local function raw_block(element)
  if element.format:match("tex") then
    local math = element.text:match("^%s*\\begin")
    return math and pandoc.Para { pandoc.Math("DisplayMath", element.text) } or {}
  elseif element.format ~= "html" then
    return {}
  end
  local id = label_of((element.text:gsub("%s+$", "")))
  return id and pandoc.Plain { marker(id) } or pandoc.read(without_frames(element.text), "html").blocks
end

local function table_attr(tbl)
  local bare = pandoc.Attr()
  local function clean(rows)
    for _, row in ipairs(rows) do
      row.attr = bare
      for _, cell in ipairs(row.cells) do cell.attr = bare end
    end
  end
  clean(tbl.head.rows)
  clean(tbl.foot.rows)
  for _, body in ipairs(tbl.bodies) do
    body.attr = bare
    clean(body.head)
    clean(body.body)
  end
  return plain_attr(false)(tbl)
end

local function sanitised(blocks, map)
  blocks = blocks:walk { RawBlock = raw_block }
  return blocks:walk { RawInline = raw_inline, RawBlock = function() return {} end }:walk {
    RawInline = function() return {} end,
    Str = function(s)
      local id = label_of(s.text)
      return id and marker(id) or nil
    end,
    Image = image(map),
    Link = link,
    Span = function(s) return s.classes:includes("label") and s or s.content end,
    Div = function(d) return d.content end,
    Header = plain_attr(true),
    Code = plain_attr(false),
    CodeBlock = plain_attr(true),
    Table = table_attr,
  }
end

local function trim(inlines)
  local last = inlines[#inlines]
  while last and (last.t == "Space" or last.t == "SoftBreak") do
    inlines:remove()
    last = inlines[#inlines]
  end
  return inlines
end

-- Takes the label off the end of some inlines: (inlines, label or nil).
local function take_label(inlines)
  trim(inlines)
  local last = inlines[#inlines]
  if not (last and last.t == "Span" and last.classes:includes("label")) then return inlines, nil end
  inlines:remove()
  return trim(inlines), last.attributes.to
end

local function labelled_header(header)
  local content, id = take_label(header.content)
  header.content = content
  if id == "unnumbered" then
    header.classes:insert("unnumbered")
  elseif id then
    header.identifier = id
  end
  return header
end

local function labelled_table(tbl)
  local last = tbl.caption.long[#tbl.caption.long]
  if last and last.content then
    local content, id = take_label(last.content)
    last.content = content
    if id then tbl.identifier = id end
  end
  return tbl
end

local function figure(img, id, caption, alt)
  img.caption = alt or img.caption
  img.identifier = ""
  return pandoc.Figure({ pandoc.Plain { img } }, caption, pandoc.Attr(id or "", { "picture" }))
end

-- Splits a paragraph at its labelled equations; a lone labelled image becomes a figure.
local function labelled_para(para)
  local pieces, rest = pandoc.Blocks {}, pandoc.Inlines {}
  local content, id = para.content:clone(), nil
  if #content > 0 and content[1].t == "Image" then
    content, id = take_label(content)
    local img = content[1]
    if #content == 1 and (id or img.identifier:match("^fig%-")) then
      return figure(img, id or img.identifier, { pandoc.Plain(img.caption) })
    end
    content = para.content
  end
  local function flush()
    if #trim(rest) > 0 then pieces:insert(pandoc.Para(rest)) end
    rest = pandoc.Inlines {}
  end
  for _, inline in ipairs(content) do
    local is_label = inline.t == "Span" and inline.classes:includes("label")
    if is_label and #trim(rest) > 0 and rest[#rest].t == "Math" then
      local math = rest:remove()
      flush()
      local attr = pandoc.Attr(inline.attributes.to, { "equation" })
      pieces:insert(pandoc.Div({ pandoc.Para { math } }, attr))
    elseif not is_label and not (#rest == 0 and inline.t:match("Break$")) then
      rest:insert(inline)
    end
  end
  flush()
  return pieces
end

-- A label written as a block of its own belongs to the paragraph above it.
local function join_labels(blocks)
  local joined = pandoc.Blocks {}
  for _, block in ipairs(blocks) do
    local lone = block.t == "Plain" and #block.content == 1 and block.content[1]
    local above = joined[#joined]
    if lone and lone.t == "Span" and above and above.t == "Para" then
      above.content:insert(lone)
    else
      joined:insert(block)
    end
  end
  return joined
end

-- In Jupyter only a list that starts at 1 may interrupt a paragraph; pandoc lets any number do so,
-- which makes a list of a sentence whose line happens to start with "20. ".
local function without_false_lists(text)
  local lines, fenced, list, prose = {}, false, false, false
  for line in (text .. "\n"):gmatch("(.-)\n") do
    if line:match("^%s*```") or line:match("^%s*~~~") then fenced = not fenced end
    local number = line:match("^%s*(%d+)[.)]%s")
    if number and prose and not list and not fenced and tonumber(number) ~= 1 then
      line = line:gsub("^(%s*%d+)([.)])", "%1\\%2")
    end
    local item = line:match("^%s*[*+-]%s") or line:match("^%s*%d+[.)]%s")
    list = line:match("%S") and (list or item)
    prose = line:match("%S") and not line:match("^#")
    table.insert(lines, line)
  end
  return table.concat(lines, "\n")
end

function parse(text, format, map)
  if format == "html" then text = without_frames(text) end
  if not format then text = without_false_lists(text) end
  local blocks = sanitised(pandoc.read(text, format or MARKDOWN, OPTIONS).blocks, map or {})
  return join_labels(blocks):walk {
    Header = labelled_header, Table = labelled_table, Para = labelled_para,
  }:walk { Span = function(s) return s.classes:includes("label") and {} or nil end }
end

local function inlines(text) return pandoc.utils.blocks_to_inlines(parse(text or "")) end

local function alt_text(part)
  local alt = part.alt or pandoc.utils.stringify(inlines(part.caption))
  return pandoc.Inlines { pandoc.Str(alt ~= "" and alt or "Figure") }
end

local PARTS = {}

function PARTS.markdown(part) return parse(part.text, nil, part.images) end

function PARTS.html(part) return PARTS.table(part, "html") end

function PARTS.latex(part) return parse(part.text, part.text:match("^%s*\\?%$") and MARKDOWN or "latex") end

function PARTS.text(part)
  return { pandoc.CodeBlock(part.text, pandoc.Attr("", { part.keep and "output" or "transcript" })) }
end

function PARTS.code(part)
  local blocks = pandoc.Blocks { pandoc.CodeBlock(part.text, pandoc.Attr("", { part.lang })) }
  for _, printed in ipairs(part.printed) do blocks:extend(PARTS.text(printed)) end
  return { pandoc.Div(blocks, pandoc.Attr("", { "code" })) }
end

-- A gallery's pages as Divs: a title, then for each strip of pictures its name and the picture.
local function gallery(pages)
  return pandoc.List(pages):map(function(page)
    local blocks = pandoc.Blocks { pandoc.Para { pandoc.Str(page.title) } }
    for _, strip in ipairs(page.strips) do
      local source = "data:image/png;base64," .. strip.png
      local img = pandoc.Image({ pandoc.Str(page.title .. ", " .. strip.name) }, source)
      local pieces = { pandoc.Span({ pandoc.Str(strip.name) }), img }
      blocks:insert(pandoc.Div({ pandoc.Plain(pieces) }, pandoc.Attr("", { "strip" })))
    end
    return pandoc.Div(blocks, pandoc.Attr("", { "page" }, { { "role", "group" }, { "aria-label", page.title } }))
  end)
end

function PARTS.figure(part)
  local attr = pandoc.Attr("", {}, part.width and { width = part.width } or {})
  local img = pandoc.Image({}, part.src, "", attr)
  local caption = part.caption and { pandoc.Plain(inlines(part.caption)) } or {}
  local whole = figure(img, part.label, caption, alt_text(part))
  whole.content:extend(gallery(part.pages))
  return { whole }
end

function PARTS.table(part, format)
  local blocks = parse(part.text, format)
  for _, block in ipairs(blocks) do
    if block.t == "Table" and (part.label or part.caption) then
      block.identifier = part.label or ""
      block.caption = { long = { pandoc.Plain(inlines(part.caption)) } }
      break
    end
  end
  return blocks
end

local function metadata(meta)
  local parsed = { abstract = meta.abstract and parse(meta.abstract) or nil }
  for _, name in ipairs { "title", "subtitle", "date", "stamp" } do
    parsed[name] = meta[name] and inlines(meta[name]) or nil
  end
  parsed.author = pandoc.List(meta.author or {}):map(inlines)
  for _, name in ipairs { "lang", "bibliography", "csl", "fallback-title" } do
    parsed[name] = meta[name] and pandoc.MetaString(meta[name]) or nil
  end
  return parsed
end

function Reader(input)
  local paper = pandoc.json.decode(tostring(input), false)
  local blocks = pandoc.Blocks {}
  for _, part in ipairs(paper.parts) do blocks:extend(PARTS[part.kind](part)) end
  return pandoc.Pandoc(blocks, metadata(paper.meta))
end
