import test from "ava";
import { compareModels } from "../../../src/trees/heritage/compare-models.js";
import { inferHeritage } from "../../../src/trees/heritage/infer-heritage.js";
import { LayerCollector } from "../../../src/trees/heritage/layer-statistics.js";
import { growSmallFamily, hidden, inputs, outputs, type Perceptron } from "../../helpers/small-family.js";

function toStatistics({ first, second }: Perceptron) {
  return [
    { name: "first.weight", rows: hidden, columns: inputs, values: first },
    { name: "second.weight", rows: outputs, columns: hidden, values: second },
  ].map(({ values, ...extent }) => {
    const collector = new LayerCollector(extent);
    collector.add(values);
    return collector.finish();
  });
}

test("the edges of a family grown by gradient descent are found", (t) => {
  const parents = [-1, 0, 0, 0, 1, 1, 2, 2, 3, 3];
  const { distances, kurtosis } = compareModels(growSmallFamily(parents, 1).map(toStatistics));
  const { edges } = inferHeritage({ distances, kurtosis, stage: "specialisation" });
  const right = edges.filter(({ parent, child }) => parents[child] === parent || parents[parent] === child);
  t.is(right.length, parents.length - 1);
});
