// What litesvm says went wrong, in the words of JSON-RPC.
import { createRequire } from "node:module";

const svm = createRequire(import.meta.url)("litesvm/dist/internal.js");

// In the order of litesvm's declarations, which number them.
const TRANSACTION = `AccountInUse AccountLoadedTwice AccountNotFound ProgramAccountNotFound InsufficientFundsForFee
  InvalidAccountForFee AlreadyProcessed BlockhashNotFound CallChainTooDeep MissingSignatureForFee InvalidAccountIndex
  SignatureFailure InvalidProgramForExecution SanitizeFailure ClusterMaintenance AccountBorrowOutstanding
  WouldExceedMaxBlockCostLimit UnsupportedVersion InvalidWritableAccount WouldExceedMaxAccountCostLimit
  WouldExceedAccountDataBlockLimit TooManyAccountLocks AddressLookupTableNotFound InvalidAddressLookupTableOwner
  InvalidAddressLookupTableData InvalidAddressLookupTableIndex InvalidRentPayingAccount WouldExceedMaxVoteCostLimit
  WouldExceedAccountDataTotalLimit MaxLoadedAccountsDataSizeExceeded ResanitizationNeeded
  InvalidLoadedAccountsDataSizeLimit UnbalancedTransaction ProgramCacheHitMaxLimit CommitCancelled`.split(/\s+/);

const INSTRUCTION = `GenericError InvalidArgument InvalidInstructionData InvalidAccountData AccountDataTooSmall
  InsufficientFunds IncorrectProgramId MissingRequiredSignature AccountAlreadyInitialized UninitializedAccount
  UnbalancedInstruction ModifiedProgramId ExternalAccountLamportSpend ExternalAccountDataModified
  ReadonlyLamportChange ReadonlyDataModified DuplicateAccountIndex ExecutableModified RentEpochModified
  NotEnoughAccountKeys AccountDataSizeChanged AccountNotExecutable AccountBorrowFailed AccountBorrowOutstanding
  DuplicateAccountOutOfSync InvalidError ExecutableDataModified ExecutableLamportChange
  ExecutableAccountNotRentExempt UnsupportedProgramId CallDepth MissingAccount ReentrancyNotAllowed
  MaxSeedLengthExceeded InvalidSeeds InvalidRealloc ComputationalBudgetExceeded PrivilegeEscalation
  ProgramEnvironmentSetupFailure ProgramFailedToComplete ProgramFailedToCompile Immutable IncorrectAuthority
  AccountNotRentExempt InvalidAccountOwner ArithmeticOverflow UnsupportedSysvar IllegalOwner
  MaxAccountsDataAllocationsExceeded MaxAccountsExceeded MaxInstructionTraceLengthExceeded
  BuiltinProgramsMustConsumeComputeUnits BorshIoError`.split(/\s+/);

/** `{ err, ran }`: the error as JSON-RPC has it, and whether the transaction is in a block all the same. */
export function describe(error) {
  if (typeof error === "number") return { err: TRANSACTION[error] ?? "SanitizeFailure", ran: false };
  if (error instanceof svm.TransactionErrorInstructionError) {
    return { err: { InstructionError: [error.index, ofInstruction(error.err())] }, ran: true };
  }
  if (error instanceof svm.TransactionErrorInsufficientFundsForRent) {
    return { err: { InsufficientFundsForRent: { account_index: error.accountIndex } }, ran: true };
  }
  if (error instanceof svm.TransactionErrorDuplicateInstruction) {
    return { err: { DuplicateInstruction: error.index }, ran: false };
  }
  return { err: { ProgramExecutionTemporarilyRestricted: { account_index: error.accountIndex } }, ran: false };
}

function ofInstruction(error) {
  if (typeof error === "number") return INSTRUCTION[error] ?? "GenericError";
  if (error instanceof svm.InstructionErrorCustom) return { Custom: error.code };
  return { BorshIoError: error.msg };
}
