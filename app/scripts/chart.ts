// What charts do in a browser. The Charts island loads this file where there are some, and hands over what holds them.

import { Board } from "./chart/board";
import { brush } from "./chart/brush";

declare global {
  interface Window {
    slipwayCharts?: (root: HTMLElement) => void;
  }
}
window.slipwayCharts = (root) => {
  if (root.dataset.runs === undefined) brush(root);
  else new Board(root);
};
