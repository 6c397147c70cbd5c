-- A pandoc filter, the same for HTML and Typst: numbers sections, equations, figures and tables,
-- turns @sec-, @eq-, @fig- and @tbl- into links, and shapes what each of the two formats needs.
-- All faults are collected and reported at once; one of them ends the export.

local HTML = FORMAT:match("html") ~= nil
local NAMES = { sec = "Section", eq = "Equation", fig = "Figure", tbl = "Table" }
local LONG_TABLE, LONG_TEXT, CODE_COLUMNS = 30, 1500, 90
local faults, numbers, ids = {}, {}, {}
local counts = { eq = 0, fig = 0, tbl = 0 }

local function fault(...) table.insert(faults, string.format(...)) end

local function kind_of(id)
  local prefix = id:match("^(%a+)%-")
  return NAMES[prefix] and prefix
end

-- Registers an identifier; a second automatic one gets a suffix, a second label is a fault.
local function register(id, kind, number)
  local own = kind_of(id)
  if own and ids[id] then fault("the label %s is used twice", id) end
  if own and own ~= kind then fault("the label %s is on a %s", id, NAMES[kind]:lower()) end
  local base, n = id, 1
  while ids[id] do
    id, n = base .. "-" .. n, n + 1
  end
  ids[id] = true
  numbers[id] = number
  return id
end

local function next_number(kind)
  counts[kind] = counts[kind] + 1
  return tostring(counts[kind])
end

-- The first H1 is the title where none is given; it leaves the body either way.
local function take_title(doc)
  for i, block in ipairs(doc.blocks) do
    if block.t == "Header" then
      local text = pandoc.utils.stringify(block)
      local given = doc.meta.title and pandoc.utils.stringify(doc.meta.title)
      if block.level == 1 and (not given or given == text) then
        doc.meta.title = doc.meta.title or block.content
        doc.blocks:remove(i)
      end
      break
    end
  end
  doc.meta.title = doc.meta.title or pandoc.Inlines(pandoc.utils.stringify(doc.meta["fallback-title"] or "Untitled"))
end

local function section_numberer(blocks)
  local top = 6
  blocks:walk { Header = function(h) top = math.min(top, h.level) end }
  local counter = {}
  return function(header)
    header.level = math.min(header.level - top + 1, 5)
    local number
    if not header.classes:includes("unnumbered") then
      counter[header.level] = (counter[header.level] or 0) + 1
      for level = 1, header.level - 1 do counter[level] = counter[level] or 0 end
      for level = header.level + 1, 6 do counter[level] = nil end
      number = table.concat(counter, ".", 1, header.level)
    end
    header.identifier = register(header.identifier ~= "" and header.identifier or "section", "sec", number)
    if number then
      header.content:insert(1, pandoc.Span(number, pandoc.Attr("", { "number" })))
      header.content:insert(2, HTML and pandoc.Space() or pandoc.RawInline("typst", "#h(0.7em)"))
    end
    if HTML then header.level = header.level + 1 end
    return header
  end
end

local function lead(kind, number, inlines)
  local name = pandoc.Strong { pandoc.Str(NAMES[kind] .. "\u{a0}" .. number .. ".") }
  return pandoc.Inlines { name, pandoc.Space() } .. inlines
end

local function numbered(element, kind)
  local caption = pandoc.utils.blocks_to_inlines(element.caption.long)
  if #caption == 0 and element.identifier == "" then return false end
  local number = next_number(kind)
  local id = element.identifier ~= "" and element.identifier or kind .. "-" .. number
  element.identifier = register(id, kind, number)
  element.caption = { long = { pandoc.Plain(lead(kind, number, caption)) } }
  return true
end

-- A gallery is its pages in HTML, and the one picture that stands for them elsewhere.
local function choose_pages(element)
  if #element.content == 1 then return end
  if HTML then
    element.content:remove(1)
    element.classes:insert("gallery")
  else
    element.content = { element.content[1] }
  end
end

local function figure(element)
  if not element.classes:includes("picture") then return nil end
  choose_pages(element)
  if not numbered(element, "fig") and not HTML then
    return pandoc.Para { pandoc.RawInline("typst", "#align(center)["), element.content[1].content[1], pandoc.RawInline("typst", "]") }, false
  end
  return element, false
end

local function tabular(element)
  local captioned = numbered(element, "tbl")
  if HTML then
    local caption, id = element.caption, element.identifier
    element.caption, element.identifier = { long = {} }, ""
    local wordy = false
    element:walk { Plain = function(cell) wordy = wordy or #pandoc.utils.stringify(cell) > 48 end }
    local classes = wordy and { "scroll", "wordy" } or { "scroll" }
    local box = pandoc.Div({ element }, pandoc.Attr("", classes, { tabindex = "0" }))
    return captioned and pandoc.Figure({ box }, caption, pandoc.Attr(id, { "tabular" })) or box, false
  end
  local rows = 0
  for _, body in ipairs(element.bodies) do rows = rows + #body.body end
  local letters = #pandoc.utils.stringify(pandoc.Blocks { element })
  if rows <= LONG_TABLE and letters <= LONG_TEXT then return element, false end
  return { pandoc.RawBlock("typst", "#long-table["), element, pandoc.RawBlock("typst", "]") }, false
end

local function equation(div)
  local number = next_number("eq")
  local id = register(div.identifier, "eq", number)
  local math = div.content[1].content[1]
  if HTML then
    local tag = pandoc.Span("(" .. number .. ")", pandoc.Attr("", { "number" }))
    return pandoc.Div({ pandoc.Plain { pandoc.Span({ math }, pandoc.Attr("", { "math-scroll" })), tag } }, pandoc.Attr(id, { "equation" })), false
  end
  local open = string.format('#numbered-equation("%s", "%s")[', number, id)
  return pandoc.Plain { pandoc.RawInline("typst", open), math, pandoc.RawInline("typst", "]") }, false
end

-- A paragraph that ends in an equation stays with it on a page. A block starts without the indent
-- of a paragraph that follows another, so that is said.
local function with_its_equation(blocks)
  local out = pandoc.Blocks {}
  for i, block in ipairs(blocks) do
    local next, above = blocks[i + 1], blocks[i - 1]
    local leads = next and next.t == "Div" and next.classes:includes("equation")
    if leads and block.t == "Para" then
      local indent = above and above.t == "Para" and "true" or "false"
      block.content:insert(1, pandoc.RawInline("typst", "#leading(indent: " .. indent .. ")["))
      block.content:insert(pandoc.RawInline("typst", "]"))
    end
    out:insert(block)
  end
  return out
end

local function code_cell(div)
  if not HTML then return {}, false end
  local open = '<details class="code"><summary>Code</summary>'
  return pandoc.Blocks { pandoc.RawBlock("html", open) } .. div.content
    .. { pandoc.RawBlock("html", "</details>") }, false
end

local function hard_wrapped(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do
    while (utf8.len(line) or 0) > CODE_COLUMNS do
      local cut = utf8.offset(line, CODE_COLUMNS + 1)
      table.insert(lines, line:sub(1, cut - 1))
      line = line:sub(cut)
    end
    table.insert(lines, line)
  end
  return table.concat(lines, "\n")
end

local function code_block(block)
  if HTML then return nil end
  if block.classes:includes("transcript") then return {} end
  block.text = hard_wrapped(block.text)
  if block.classes:includes("output") then block.classes = {} end
  return block
end

local function reference(id, mode)
  local kind, number = kind_of(id), numbers[id]
  if not number then
    fault("the reference @%s has no target%s", id, ids[id] and " with a number" or "")
    return pandoc.Str("@" .. id)
  end
  local text = kind == "eq" and "(" .. number .. ")" or number
  if mode ~= "SuppressAuthor" then text = NAMES[kind] .. "\u{a0}" .. text end
  return pandoc.Link(text, "#" .. id, "", pandoc.Attr("", { "crossref" }))
end

local function references(list)
  local out, refs = pandoc.Inlines {}, 0
  for i, citation in ipairs(list) do
    if kind_of(citation.id) then
      refs = refs + 1
      if i > 1 then out:insert(pandoc.Str(i == #list and " and " or ", ")) end
      out:extend(citation.prefix)
      if #citation.prefix > 0 then out:insert(pandoc.Space()) end
      out:insert(reference(citation.id, citation.mode))
      out:extend(citation.suffix)
    end
  end
  return out, refs
end

local function cite(has_bibliography)
  return function(element)
    local list = element.citations
    local out, refs = references(list)
    if refs == 0 then return not has_bibliography and element.content or nil end
    local rest = list:filter(function(c) return not kind_of(c.id) end)
    if #rest == 0 then return out end
    if refs == 1 and list[1].mode == "AuthorInText" then -- "@fig-a [@key]" is two things
      return out .. { pandoc.Space(), pandoc.Cite({ pandoc.Str("[@" .. rest[1].id .. "]") }, rest) }
    end
    fault("one bracket mixes references and citations: %s", pandoc.utils.stringify(element))
  end
end

local function local_link(element)
  local id = element.target:match("^#(.+)$")
  if not id or ids[id] then return nil end
  if not ids[id:lower()] then return element.content end
  element.target = "#" .. id:lower()
  return element
end

-- pandoc 3.9 writes \! and \; as -1em and 0em for Typst, and does not know two long names.
local function typst_math(element)
  if HTML then return nil end
  local text = element.text:gsub("\\thinspace", "\\,"):gsub("\\negthinspace", "")
  element.text = text:gsub("\\\\", "\0"):gsub("\\!", ""):gsub("\\;", "\\:"):gsub("%z", "\\\\")
  return element
end

-- Gives citeproc its place: under "References", or at the end under a heading of ours.
local function place_references(doc)
  local style = HTML and {} or { pandoc.RawBlock("typst", "#show: references-style") }
  local refs = pandoc.Div(style, pandoc.Attr("refs"))
  for i, block in ipairs(doc.blocks) do
    if block.t == "Header" then
      local text = pandoc.utils.stringify(block):lower()
      if text == "references" or text == "bibliography" then
        block.classes:insert("unnumbered")
        doc.blocks:insert(i + 1, refs)
        return
      end
    end
  end
  local level = 6
  doc.blocks:walk { Header = function(h) level = math.min(level, h.level) end }
  doc.blocks:insert(pandoc.Header(level, "References", pandoc.Attr("references", { "unnumbered" })))
  doc.blocks:insert(refs)
end

local function typst_string(text)
  return '"' .. text:gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("%s+", " ") .. '"'
end

local function finish_metadata(meta)
  meta.pagetitle = pandoc.utils.stringify(meta.title)
  if HTML then return end
  local names = pandoc.List(meta.author or {}):map(function(a) return typst_string(pandoc.utils.stringify(a)) end)
  meta["author-strings"] = pandoc.RawInline("typst", table.concat(names, ", "))
end

function Pandoc(doc)
  take_title(doc)
  local cites = false
  local function look(citation) cites = cites or not kind_of(citation.id) end
  doc:walk { Cite = function(c) c.citations:map(look) end }
  local has_bibliography = doc.meta.bibliography ~= nil
  if has_bibliography and cites then place_references(doc) end
  if not HTML then doc.blocks = with_its_equation(doc.blocks) end
  doc.blocks = doc.blocks:walk {
    traverse = "topdown",
    Header = section_numberer(doc.blocks),
    Figure = figure,
    Table = tabular,
    Div = function(div)
      if div.classes:includes("equation") then return equation(div) end
      if div.classes:includes("code") then return code_cell(div) end
    end,
  }
  doc = doc:walk { Cite = cite(has_bibliography), Link = local_link, Math = typst_math, CodeBlock = code_block }
  finish_metadata(doc.meta)
  if #faults > 0 then error("halfgen: " .. table.concat(faults, "; ") .. "\n", 0) end
  return doc
end
