export { slug } from "./slug.js";
export { Slugger } from "./slugger.js";
