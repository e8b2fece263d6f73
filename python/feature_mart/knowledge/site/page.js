/* Added to dbt's page, which is an AngularJS application. Changes two things:
 *
 * - The search. dbt's own counts how often the query stands in a model's name, description and SQL, so long SQL comes
 *   first. Here a result's rank comes from where the query is found, and the model that explains a column comes before
 *   models that only have it. Drawings and evidence, which repeat the same words at every column, are not searched.
 * - The graph. Tests are hidden until they are chosen in the graph's list of resources.
 */
(function () {
  "use strict";

  /* Points for a field in which every word of the query stands. `explains` are the headings of reasons, one a column;
   * `elsewhere` is the table of columns that other models explain. */
  var POINTS = {
    name: 10, explains: 10, label: 10, description: 5, tags: 4, arguments: 2, columns: 2, column_description: 1,
    elsewhere: 1, raw_code: 1,
  };
  /* dbt's names of the fields by which its page filters results. */
  var KEYS = { explains: "description", elsewhere: "description" };
  /* Points for the kind of a result: pages that explain come before those that only have a column. */
  var KINDS = [
    [/^model\..*\.feat_/, 3], [/^exposure\./, 2.5], [/^analysis\./, 2], [/^model\..*\.mart_/, 0.5],
    [/^model\./, 0.3], [/^(source|seed|snapshot)\./, 0.2],
  ];
  /* Paragraphs that the search skips. */
  var SKIPPED = /^(!\[|\*\*Drawing|\*\*Evidence)/;

  function prose(markdown) {
    return (markdown || "").split("\n\n").filter(function (paragraph) {
      return !SKIPPED.test(paragraph);
    }).join("\n\n");
  }

  function text(value) {
    return (typeof value === "string" ? value : JSON.stringify(value || "")).toLowerCase();
  }

  /* Returns the searched texts of a node, as pairs of a field and a list of texts. */
  function fields(node) {
    var columns = Object.keys(node.columns || {}).map(function (name) { return node.columns[name]; });
    var parts = prose(node.description).split(/^## Columns explained elsewhere$/m);
    var headings = parts[0].match(/^### \w+$/gm) || [];
    return [
      ["name", [node.name]],
      ["label", node.label && node.label !== node.name ? [node.label] : []],
      ["explains", headings.map(function (heading) { return heading.slice(4); })],
      ["description", [parts[0]]],
      ["elsewhere", parts.slice(1)],
      ["raw_code", node.raw_code ? [node.raw_code] : []],
      ["columns", columns.map(function (column) { return column.name || ""; })],
      ["column_description", columns.map(function (column) { return prose(column.description); })],
      ["tags", node.tags || []],
      ["arguments", node.arguments || []],
    ].map(function (field) { return [field[0], field[1].map(text)]; });
  }

  function kind(node) {
    var found = KINDS.filter(function (each) { return each[0].test(node.unique_id); })[0];
    return found ? found[1] : 0;
  }

  /* Returns 4 if the phrase is one of the texts, 1.5 if it is in one of them, 1 if all words are in one of them. */
  function closeness(texts, phrase, words) {
    var best = 0;
    texts.forEach(function (each) {
      var found = each === phrase ? 4 : each.indexOf(phrase) >= 0 ? 1.5
        : words.every(function (word) { return each.indexOf(word) >= 0; }) ? 1 : 0;
      best = Math.max(best, found);
    });
    return best;
  }

  /* Returns Markdown without its marks, as one line. */
  function plain(markdown) {
    return markdown.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[`*#|]+|-{3,}/g, " ").replace(/\s+/g, " ").trim();
  }

  /* Returns the section, line of a table or column of a node that fits the query best; the page shows a part of it. */
  function snippet(node, phrase, words) {
    var sections = prose(node.description).split(/^(?=#{1,3} )|^(?=\| )/m);
    Object.keys(node.columns || {}).forEach(function (name) {
      sections.push(name + ": " + prose(node.columns[name].description));
    });
    var best = 0, chosen = sections[0];
    sections.forEach(function (section) {
      var found = closeness([text(section)], phrase, words);
      if (found > best) {
        best = found;
        chosen = section;
      }
    });
    return plain(chosen);
  }

  /* Replaces the search of dbt's service `project`. */
  function rankSearch(project) {
    var all = project.search;
    var indexed = null;
    project.search = function (query) {
      var phrase = query.trim().toLowerCase();
      var words = phrase.match(/[a-z0-9]+|[^\x00-\x7f]+/g);
      if (!words) return all(query.trim());
      indexed = indexed || all("").map(function (each) { return [each.model, fields(each.model)]; });
      var results = [];
      indexed.forEach(function (each) {
        var weight = 0, matches = [];
        each[1].forEach(function (field) {
          var found = closeness(field[1], phrase, words);
          if (!found) return;
          weight += POINTS[field[0]] * found;
          matches.push({ key: KEYS[field[0]] || field[0], value: query });
        });
        if (!weight) return;
        var model = Object.create(each[0], { description: { value: snippet(each[0], phrase, words) } });
        var result = { model: model, matches: matches };
        /* dbt's page sorts by this property, and sets it on some results; what it sets is ignored. */
        Object.defineProperty(result, "overallWeight", {
          get: function () { return weight + kind(each[0]); }, set: function () {},
        });
        results.push(result);
      });
      return results;
    };
  }

  /* Changes the defaults of dbt's service `selectorService`, which selects the nodes of the graph. */
  function hideTests(selector) {
    function isTest(type) { return type === "test" || type === "unit_test"; }
    var every = selector.options.resource_types;
    selector.init({ resource_types: every.filter(function (type) { return !isTest(type); }) });
    selector.options.resource_types = every;
    var reset = selector.resetSelection;
    selector.resetSelection = function (node) {
      reset(node);
      /* A test's own graph shows it. */
      if (node && isTest(node.resource_type)) {
        selector.selection.clean.resource_types = every;
        selector.selection.dirty.resource_types = every;
      }
    };
  }

  /* With a page that has no such services, its own search and graph stay as they are. */
  angular.module("dbt").run(["$injector", function (injector) {
    if (injector.has("project")) rankSearch(injector.get("project"));
    if (injector.has("selectorService")) hideTests(injector.get("selectorService"));
  }]);
})();
